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

namespace {

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

/// The data to draw: a curve for each run, each group of a folder of runs, and each setting of a
/// sweep; and all runs.
struct Input {
  std::vector<Curve> curves;
  std::vector<DrawnRun> runs;

  void add(const fs::path& folder) {
    const SweepFolder sweep{folder};
    if (const RunFiles run{folder}; is_run(run))
      return add_run(run, add_curve(folder_name(folder)));
    if (fs::exists(sweep.sweep())) return add_sweep(sweep);
    const std::vector<RunFiles> below = runs_below(folder);
    if (below.empty())
      throw UserError(
          fmt::format("{}: neither a run (metrics.csv), nor a sweep (sweep.textproto), "
                      "nor a folder of runs",
                      folder.string()));
    for (const RunGroup& group : group_by_settings(below)) {
      const std::string seeds =
          group.runs.size() > 1 ? fmt::format(", {} seeds", group.runs.size()) : "";
      const std::size_t curve = add_curve(group.title + seeds);
      for (const RunFiles& run : group.runs) add_run(run, curve);
    }
  }

 private:
  std::size_t add_curve(const std::string& title) {
    curves.push_back({title, "test", {}});
    return curves.size() - 1;
  }
  void add_run(const RunFiles& run, std::size_t curve) {
    curves[curve].runs.push_back(read_metrics(run.metrics()));
    curves[curve].evaluated_on = evaluated_on(run);
    std::string title = folder_name(run.path());
    const auto is_taken = [&] {
      return std::any_of(runs.begin(), runs.end(),
                         [&](const DrawnRun& other) { return other.title == title; });
    };
    fs::path above = fs::absolute(run.path()).lexically_normal().parent_path();
    for (; is_taken() && above.has_relative_path(); above = above.parent_path())
      title = above.filename().string() + "/" + title;
    if (is_taken()) title += fmt::format(" ({})", runs.size() + 1);
    runs.push_back({run, title});
  }
  void add_sweep(const SweepFolder& folder) {
    const Sweep sweep = load_sweep(folder.sweep());
    const std::size_t first = curves.size();
    for (std::size_t i = 0; i < sweep.members.size(); ++i) {
      const SweepMember& member = sweep.members[i];
      if (first + member.setting >= curves.size()) add_curve(curve_title(sweep, member));
      if (is_run(folder.member(i))) add_run(folder.member(i), first + member.setting);
    }
  }
};

void draw_recordings(const std::vector<DrawnRun>& runs, Gnuplot& gnuplot) {
  for (const DrawnRun& run : runs) {
    if (!fs::exists(run.files.recording())) continue;
    std::string suffix = runs.size() > 1 ? "_" + run.title : "";
    std::replace(suffix.begin(), suffix.end(), '/', '_');
    for (const Record& record : load_experiment(run.files.experiment(), {}).records) {
      if (record.what == Recorded::correlation)
        draw_correlation(run.files, record, suffix, gnuplot);
      if (record.what == Recorded::settling) draw_settling(run.files, record, suffix, gnuplot);
    }
  }
}

}  // namespace

Plots plot(const std::vector<fs::path>& folders, const fs::path& out, const PlotOptions& options) {
  Input input;
  for (const fs::path& folder : folders) input.add(folder);
  Gnuplot gnuplot{out, options};
  Plots plots;
  if (gnuplot.wants("learning_curves")) draw_curves(std::move(input.curves), gnuplot);
  if (input.runs.size() > drawn_runs_max) {
    plots.note = fmt::format(
        "probes, spectra and recordings of {} runs are not drawn, expected at most {}: name the "
        "folders of single runs",
        input.runs.size(), drawn_runs_max);
  } else {
    if (gnuplot.wants("probes")) draw_probes(input.runs, gnuplot);
    if (gnuplot.wants("spectrum")) draw_spectrum(input.runs, gnuplot);
    draw_recordings(input.runs, gnuplot);
  }
  plots.files = gnuplot.files();
  if (plots.files.empty())
    throw UserError(options.only.empty()
                        ? "nothing to draw: no epoch of these runs has ended"
                        : fmt::format("nothing to draw that is called {}", one_line(options.only)));
  return plots;
}

}  // namespace lateral
