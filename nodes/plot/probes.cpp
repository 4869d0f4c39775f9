// Probes: for each run a block of three panels in a row, with one key.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "nodes/plot/figures.hpp"

namespace lateral {
namespace {

struct Probes {
  std::vector<std::string> layers;  ///< in the order of the file
  struct Values {
    /// By the layer's position in `layers`: lines "STEP VALUE".
    std::map<std::size_t, std::string> by_layer;
    double low = std::numeric_limits<double>::infinity(),
           high = -std::numeric_limits<double>::infinity();
  };
  std::map<std::string, Values> data;  ///< by probe
};

Probes read(const std::filesystem::path& file) {
  Probes probes;
  read_probes(file, [&](const ProbeRow& row) {
    const auto found = std::find(probes.layers.begin(), probes.layers.end(), row.layer);
    const auto layer = static_cast<std::size_t>(found - probes.layers.begin());
    if (found == probes.layers.end()) probes.layers.push_back(row.layer);
    Probes::Values& values = probes.data[row.probe];
    values.by_layer[layer] += fmt::format("{} {:.9g}\n", row.step, row.value);
    if (!std::isfinite(row.value)) return;
    values.low = std::min(values.low, row.value);
    values.high = std::max(values.high, row.value);
  });
  return probes;
}

/// Whether all values are above 0 and some a hundred times larger than others.
bool spans_decades(const Probes::Values& values) {
  constexpr double wide_range = 100;
  return values.low > 0 && values.high / values.low > wide_range;
}

/// The unit of a probe's values, as its name says it.
std::string unit_of(const std::string& probe) {
  if (probe.ends_with("degrees")) return "degrees";
  if (probe.ends_with("steps")) return "settling steps";
  if (probe.starts_with("correlation")) return "squared coefficient";
  if (probe.starts_with("effective_rank")) return "directions";
  if (probe == "dead_units") return "share of units";
  return "";
}

std::string panel_commands(const std::string& block, const std::string& run,
                           const std::string& probe, const Probes& probes) {
  const Probes::Values& values = probes.data.at(probe);
  std::string title = probe;
  std::replace(title.begin(), title.end(), '_', ' ');
  std::string script =
      fmt::format("set title {} noenhanced\nset ylabel {} offset 1,0\n{}plot ",
                  gnuplot_string(run + ": " + title), gnuplot_string(unit_of(probe)),
                  spans_decades(values) ? log_y : linear_y);
  bool is_first = true;
  for (const auto& [layer, lines] : values.by_layer) {
    script +=
        fmt::format("{}${}_{} using 1:2 with linespoints pt 7 ps 0.3 lw 1.5 lc rgb '{}' title {}",
                    is_first ? "" : next_curve, block, layer, colour(layer),
                    gnuplot_string(probes.layers[layer]));
    is_first = false;
  }
  return script + "\n";
}

constexpr int columns = 3;

int rows_of(const Probes& probes) {
  return (static_cast<int>(probes.data.size()) + columns - 1) / columns;
}

/// The probe that most layers have: its panel shows the key of its run.
const std::string& probe_with_key(const Probes& probes) {
  return std::max_element(probes.data.begin(), probes.data.end(),
                          [](const auto& a, const auto& b) {
                            return a.second.by_layer.size() < b.second.by_layer.size();
                          })
      ->first;
}

/// The panels of one run.
///   name: of its data blocks;  key_top: upper edge of its key, as a share of the picture's height
std::string block_commands(const std::string& name, const std::string& run, const Probes& probes,
                           double key_top) {
  std::string script;
  int p = 0;
  for (const auto& [probe, values] : probes.data) {
    script += probe == probe_with_key(probes)
                  ? fmt::format("set key at screen 0.87,{:.6g} left top Left reverse noenhanced\n",
                                key_top)
                  : "unset key\n";
    script += panel_commands(fmt::format("{}p{}", name, p++), run, probe, probes);
  }
  for (; p % columns != 0; ++p) script += "set multiplot next\n";
  return script;
}

std::string data_blocks(const std::string& name, const Probes& probes) {
  std::string script;
  int p = 0;
  for (const auto& [probe, values] : probes.data) {
    for (const auto& [layer, lines] : values.by_layer)
      script += fmt::format("${}p{}_{} << EOD\n{}EOD\n", name, p, layer, lines);
    ++p;
  }
  return script;
}

/// Takes the probes that never vary out of the panels; their names and values as a text.
std::string take_constant(Probes& probes) {
  std::string text;
  for (const auto& [probe, values] : probes.data)
    if (values.low >= values.high)  // also if there is no finite value
      text += fmt::format("{}{} {:g}", text.empty() ? "" : ", ", probe, values.low);
  std::erase_if(probes.data,
                [](const auto& entry) { return entry.second.low >= entry.second.high; });
  return text;
}

}  // namespace

void draw_probes(const std::vector<DrawnRun>& runs, Gnuplot& gnuplot) {
  std::vector<std::pair<std::string, Probes>> blocks;  // with the titles of their runs
  std::vector<std::string> notes;
  int rows = 0;
  for (const DrawnRun& run : runs) {
    if (!std::filesystem::exists(run.files.probes())) continue;
    Probes probes = read(run.files.probes());
    if (const std::string constant = take_constant(probes); !constant.empty())
      notes.push_back(fmt::format("{}, without change: {}", run.title, constant));
    if (probes.data.empty()) continue;
    rows += rows_of(probes);
    blocks.emplace_back(run.title, std::move(probes));
  }
  if (rows == 0) return;
  std::string data, panels;
  int row = 0;
  for (const auto& [title, probes] : blocks) {
    const std::string name = fmt::format("r{}", row);
    data += data_blocks(name, probes);
    panels += block_commands(name, title, probes, 1 - (row + 0.14) / rows);
    row += rows_of(probes);
  }
  constexpr int panel_height = 300, note_height = 18;
  const int height = panel_height * rows + 60 + note_height * static_cast<int>(notes.size());
  std::string labels;
  for (std::size_t n = 0; n < notes.size(); ++n)
    labels += fmt::format("set label {} {} at screen 0.01,{:.6g} left noenhanced font ',9'\n",
                          n + 1, gnuplot_string(notes[n]),
                          (note_height * (static_cast<double>(n) + 0.5)) / height);
  const double bottom = (60.0 + note_height * static_cast<double>(notes.size())) / height;
  gnuplot.draw("probes", 1200, height,
               data + labels +
                   fmt::format("set multiplot layout {},{} margins 0.07,0.85,{:.6g},{:.6g} spacing "
                               "0.08,{:.6g}\nset grid {}\nset tics font ',10'\n"
                               "set xlabel 'training step' offset 0,0.5\n",
                               rows, columns, bottom, 1 - 0.14 / rows, 0.36 / rows, grid_colour) +
                   panels + "unset multiplot\n");
}

}  // namespace lateral
