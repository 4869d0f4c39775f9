// Probes: three panels in a row, one key for all of them.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "nodes/plot/figures.hpp"

namespace lateral {
namespace {

struct Probes {
  std::vector<std::string> layers;  ///< in the order of the file
  /// By probe and by the layer's position in `layers`: lines "STEP VALUE".
  std::map<std::string, std::map<std::size_t, std::string>> data;
};

Probes read(const std::filesystem::path& file) {
  Probes probes;
  read_probes(file, [&](const ProbeRow& row) {
    const auto found = std::find(probes.layers.begin(), probes.layers.end(), row.layer);
    const auto layer = static_cast<std::size_t>(found - probes.layers.begin());
    if (found == probes.layers.end()) probes.layers.push_back(row.layer);
    probes.data[row.probe][layer] += fmt::format("{} {:.9g}\n", row.step, row.value);
  });
  return probes;
}

bool spans_decades(const std::string& probe) {
  return probe.starts_with("correlation") || probe.ends_with("residual");
}

}  // namespace

bool draw_probes(const RunFiles& run, Gnuplot& gnuplot) {
  if (!std::filesystem::exists(run.probes())) return false;
  const Probes probes = read(run.probes());
  if (probes.data.empty()) return false;

  std::string script;
  std::size_t p = 0;
  for (const auto& [probe, by_layer] : probes.data) {
    for (const auto& [layer, lines] : by_layer)
      script += fmt::format("$p{}_{} << EOD\n{}EOD\n", p, layer, lines);
    ++p;
  }
  constexpr int columns = 3;
  const int rows = (static_cast<int>(probes.data.size()) + columns - 1) / columns;
  script += fmt::format(
      "set multiplot layout {},{} margins 0.06,0.85,{:.6g},{:.6g} spacing 0.06,{:.6g}\n"
      "set grid {}\nset tics font ',10'\nset xlabel 'training step' offset 0,0.5\n",
      rows, columns, 0.2 / rows, 1 - 0.14 / rows, 0.32 / rows, grid_colour);
  // The one key is that of the probe which most layers have.
  const auto with_key = std::max_element(
      probes.data.begin(), probes.data.end(),
      [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  p = 0;
  for (const auto& [probe, by_layer] : probes.data) {
    std::string title = probe;
    std::replace(title.begin(), title.end(), '_', ' ');
    script += fmt::format("{}\nset title {}\n{}plot ",
                          probe == with_key->first
                              ? "set key at screen 0.87,0.95 left top Left reverse noenhanced"
                              : "unset key",
                          gnuplot_string(title), spans_decades(probe) ? log_y : linear_y);
    bool is_first = true;
    for (const auto& [layer, lines] : by_layer) {
      script += fmt::format(
          "{}$p{}_{} using 1:2 with linespoints pt 7 ps 0.3 lw 1.5 lc rgb '{}' title {}",
          is_first ? "" : next_curve, p, layer, colour(layer),
          gnuplot_string(probes.layers[layer]));
      is_first = false;
    }
    script += "\n";
    ++p;
  }
  script += "unset multiplot\n";
  gnuplot.draw("probes", 1200, 60 + 300 * rows, script);
  return true;
}

}  // namespace lateral
