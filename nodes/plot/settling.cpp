// Recorded settling: for each layer a panel at the first and one at the last recorded step.
#include <fmt/format.h>

#include <algorithm>

#include "nodes/plot/figures.hpp"
#include "nodes/results/recording_file.hpp"

namespace lateral {
namespace {

/// The states of the first sample in a row of the record, which has the shape (states, samples,
/// units).
struct Trajectory {
  Trajectory(const std::vector<float>& row, const Record::OfLayer& of)
      : values{row.data()}, states{of.shape[0]}, units{of.shape[2]}, stride{of.shape[1] * units} {}

  const float* state(std::size_t k) const { return values + k * stride; }
  /// The first state that is equal to all later ones.
  std::size_t settled_state() const {
    std::size_t k = states - 1;
    while (k > 0 && std::equal(state(k), state(k) + units, state(k - 1))) --k;
    return k;
  }

  const float* values;
  std::size_t states, units, stride;
};

/// The data block and the commands of one panel.
std::string panel_commands(const std::string& block, const Trajectory& trajectory,
                           const std::string& layer, std::uint64_t step) {
  constexpr std::size_t units_max = 8, every_tic_max = 12;
  const std::size_t drawn = std::min(trajectory.units, units_max);
  const std::size_t settled = trajectory.settled_state();
  std::string script = fmt::format("${} << EOD\n", block);
  for (std::size_t k = 0; k <= settled; ++k) {
    script += fmt::to_string(k);
    for (std::size_t u = 0; u < drawn; ++u)
      script += fmt::format(" {:.6g}", trajectory.state(k)[u]);
    script += "\n";
  }
  const std::string outcome = settled + 1 < trajectory.states
                                  ? fmt::format("settled after {} steps", settled)
                                  : fmt::format("its first {} steps", trajectory.states - 1);
  script +=
      fmt::format("EOD\nset title {} noenhanced\nset xrange [0:{}]\nset xtics {}\nplot ",
                  gnuplot_string(fmt::format("{}, training step {}: {}", layer, step, outcome)),
                  std::max<std::size_t>(settled, 1), settled <= every_tic_max ? "1" : "autofreq");
  for (std::size_t u = 0; u < drawn; ++u)
    script += fmt::format("{}${} using 1:{} with linespoints pt 7 ps 0.3 lw 1.5 lc rgb '{}'",
                          u > 0 ? next_curve : "", block, u + 2, colour(u));
  return script + "\nunset label 1\n";
}

}  // namespace

bool draw_settling(const RunFiles& run, const Record& record, const std::string& suffix,
                   Gnuplot& gnuplot) {
  const std::size_t layers = std::min(record.layers.size(), drawn_layers_max);
  const int height = 50 + 310 * static_cast<int>(layers);
  std::string script = fmt::format(
      "set multiplot layout {},2 margins 0.08,0.98,{:.6g},{:.6g} spacing 0.09,{:.6g}\n"
      "set label 1 {} at screen 0.5, screen {:.6g} center noenhanced font ',14'\n"
      "set grid lt 1 {}\nunset key\nset xlabel 'settling step' offset 0,0.5\nset ylabel 'x'\n",
      layers, 50.0 / height, 1 - 74.0 / height, 100.0 / height,
      gnuplot_string(folder_name(run.path()) + ": settling of one sample, a line for each unit"),
      1 - 22.0 / height, grid_colour);
  for (std::size_t l = 0; l < layers; ++l) {
    const Record::OfLayer& of = record.layers[l];
    const RecordedRows rows = read_recorded(run.recording(), record, of);
    if (rows.steps.empty()) return false;
    script += panel_commands(fmt::format("s{}a", l), Trajectory{rows.first, of}, of.layer,
                             rows.steps.front());
    script += panel_commands(fmt::format("s{}b", l), Trajectory{rows.last, of}, of.layer,
                             rows.steps.back());
  }
  script += "unset multiplot\n";
  gnuplot.draw("settling_" + record.name + suffix, 1000, height, script);
  return true;
}

}  // namespace lateral
