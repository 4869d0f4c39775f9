// Selects the figures for the given folders.
#include "nodes/plot/plot.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "nodes/base/failure.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/plot/figures.hpp"
#include "nodes/sweep/sweep_file.hpp"
#include "nodes/sweep/sweep_folder.hpp"

namespace lateral {

namespace fs = std::filesystem;

std::string folder_name(const fs::path& folder) {
  const fs::path path = fs::absolute(folder).lexically_normal();
  return path.filename().empty() ? path.parent_path().filename().string()
                                 : path.filename().string();
}

namespace {

bool is_run(const RunFiles& run) { return fs::exists(run.metrics()); }

/// The last name in the path of an axis, or the whole path if another axis has that name as well.
std::string short_name(const Sweep& sweep, std::size_t axis) {
  const auto last = [](const std::string& path) { return path.substr(path.rfind('.') + 1); };
  const auto same = std::count_if(sweep.axes.begin(), sweep.axes.end(), [&](const auto& path) {
    return last(path) == last(sweep.axes[axis]);
  });
  return same == 1 ? last(sweep.axes[axis]) : sweep.axes[axis];
}

std::string curve_title(const Sweep& sweep, const SweepMember& member) {
  std::string title = member.arm;
  for (std::size_t a = 0; a < sweep.axes.size(); ++a)
    if (!member.values[a].empty())
      title +=
          fmt::format("{}{} {}", title.empty() ? "" : ", ", short_name(sweep, a), member.values[a]);
  return title.empty() ? sweep.name : title;
}

/// The data to draw: a curve for each run and each setting of a sweep, and the folders of all runs.
struct Input {
  std::vector<Curve> curves;
  std::vector<RunFiles> runs;

  void add(const fs::path& folder) {
    const SweepFolder sweep{folder};
    if (const RunFiles run{folder}; is_run(run))
      add_run(run, curves.emplace_back(Curve{folder_name(folder), {}}));
    else if (fs::exists(sweep.sweep()))
      add_sweep(sweep);
    else
      throw UserError(fmt::format("{}: neither a run (metrics.csv) nor a sweep (sweep.textproto)",
                                  folder.string()));
  }

 private:
  void add_run(const RunFiles& run, Curve& curve) {
    curve.runs.push_back(read_metrics(run.metrics()));
    runs.push_back(run);
  }
  void add_sweep(const SweepFolder& folder) {
    const Sweep sweep = load_sweep(folder.sweep());
    const std::size_t first = curves.size();
    for (std::size_t i = 0; i < sweep.members.size(); ++i) {
      const SweepMember& member = sweep.members[i];
      if (first + member.setting >= curves.size())
        curves.push_back({curve_title(sweep, member), {}});
      if (is_run(folder.member(i))) add_run(folder.member(i), curves[first + member.setting]);
    }
  }
};

bool draw_recording(const RunFiles& run, Gnuplot& gnuplot) {
  if (!fs::exists(run.recording())) return false;
  bool has_drawn = false;
  for (const Record& record : load_experiment(run.experiment(), {}).records) {
    if (record.what == Recorded::correlation)
      has_drawn = draw_correlation(run, record, gnuplot) || has_drawn;
    if (record.what == Recorded::settling)
      has_drawn = draw_settling(run, record, gnuplot) || has_drawn;
  }
  return has_drawn;
}

}  // namespace

std::vector<fs::path> plot(const std::vector<fs::path>& folders, const fs::path& out) {
  Input input;
  for (const fs::path& folder : folders) input.add(folder);
  Gnuplot gnuplot{out};
  draw_curves(std::move(input.curves), gnuplot);
  for (const auto draw : {draw_probes, draw_spectrum, draw_recording})
    for (const RunFiles& run : input.runs)
      if (draw(run, gnuplot)) break;
  if (gnuplot.files().empty()) throw UserError("nothing to draw: no epoch of these runs has ended");
  return gnuplot.files();
}

}  // namespace lateral
