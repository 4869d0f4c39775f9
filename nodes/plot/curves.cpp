// Learning curves: two rows of panels, and a key as wide as its longest title.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <set>

#include "nodes/plot/figures.hpp"

namespace lateral {
namespace {

struct Panel {
  std::string title;
  const char* unit;
  double MetricsRow::*value;
  double scale;
};
constexpr const char* evaluated = "EVALUATED";  // stands for "test" or "validation"
const Panel all_panels[] = {
    {"training loss", "loss", &MetricsRow::train_loss, 1},
    {"EVALUATED loss", "loss", &MetricsRow::test_loss, 1},
    {"training accuracy", "accuracy [%]", &MetricsRow::train_accuracy, 100},
    {"EVALUATED accuracy", "accuracy [%]", &MetricsRow::test_accuracy, 100}};

struct Extent {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

template <class Visit>
void for_each_row(const std::vector<Curve>& curves, Visit&& visit) {
  for (const Curve& curve : curves)
    for (const std::vector<MetricsRow>& run : curve.runs)
      for (const MetricsRow& row : run) visit(row);
}

/// The panels for which there are values: targets that are vectors have no accuracy.
std::vector<Panel> panels_with_values(const std::vector<Curve>& curves) {
  std::vector<Panel> panels;
  for (const Panel& panel : all_panels) {
    bool has_values = false;
    for_each_row(curves, [&](const MetricsRow& row) {
      has_values = has_values || std::isfinite(row.*panel.value);
    });
    if (has_values) panels.push_back(panel);
  }
  std::set<std::string> names;
  for (const Curve& curve : curves) names.insert(curve.evaluated_on);
  for (Panel& panel : panels)
    if (const std::size_t at = panel.title.find(evaluated); at != std::string::npos)
      panel.title.replace(at, std::strlen(evaluated), fmt::format("{}", fmt::join(names, " or ")));
  return panels;
}

/// Data blocks $c0, $c1, …: epoch, then mean, smallest and largest value of each panel.
std::string data_blocks(const std::vector<Curve>& curves, const std::vector<Panel>& panels) {
  std::string out;
  for (std::size_t c = 0; c < curves.size(); ++c) {
    std::map<std::uint64_t, std::vector<const MetricsRow*>> epochs;
    for (const std::vector<MetricsRow>& run : curves[c].runs)
      for (const MetricsRow& row : run) epochs[row.epoch].push_back(&row);
    out += fmt::format("$c{} << EOD\n", c);
    for (const auto& [epoch, rows] : epochs) {
      out += fmt::to_string(epoch);
      for (const Panel& panel : panels) {
        double sum = 0;
        Extent extent;
        for (const MetricsRow* row : rows) {
          const double value = panel.scale * row->*panel.value;
          sum += value;
          extent.include(value);
        }
        out += fmt::format(" {:.6g} {:.6g} {:.6g}", sum / static_cast<double>(rows.size()),
                           extent.low, extent.high);
      }
      out += "\n";
    }
    out += "EOD\n";
  }
  return out;
}

std::string line_style(std::size_t c) {
  constexpr std::size_t point_types = 10, dash_types = 4;
  return fmt::format(" with linespoints pt {} ps 0.5 lw 2 dt {} lc rgb '{}'", 5 + c % point_types,
                     1 + c / colours % dash_types, colour(c));
}

/// Commands that draw a panel, whose values begin at this column of the data blocks.
std::string panel_commands(const std::vector<Curve>& curves, const Panel& panel, std::size_t column,
                           bool is_logarithmic) {
  std::string out = fmt::format("set title {}\nset ylabel {}\n{}plot ", gnuplot_string(panel.title),
                                gnuplot_string(panel.unit), is_logarithmic ? log_y : linear_y);
  for (std::size_t c = 0; c < curves.size(); ++c) {
    if (c > 0) out += next_curve;
    if (curves[c].runs.size() > 1)
      out += fmt::format("$c{} using 1:{}:{} with filledcurves lc rgb '{}' notitle{}", c,
                         column + 1, column + 2, colour(c), next_curve);
    out += fmt::format("$c{} using 1:{}{}", c, column, line_style(c));
  }
  return out + "\n";
}

/// The key as a panel of its own: in another panel it would be cut to the height of that one.
std::string key_commands(const std::vector<Curve>& curves, double left) {
  std::string out = margins({left, 1, 0.02, 0.96}) +
                    "unset title\nunset xlabel\nunset ylabel\nunset tics\nunset border\n"
                    "unset logscale\nset key at graph 0,1 left top Left reverse noenhanced\n"
                    "plot [0:1] [0:1] ";
  for (std::size_t c = 0; c < curves.size(); ++c)
    out += fmt::format("{}NaN{} title {}", c > 0 ? next_curve : "", line_style(c),
                       gnuplot_string(curves[c].title));
  if (std::any_of(curves.begin(), curves.end(),
                  [](const Curve& curve) { return curve.runs.size() > 1; }))
    out += fmt::format("{}NaN with lines lc rgb 'white' title 'line: mean; band: min–max'",
                       next_curve);
  return out + "\nunset multiplot\n";
}

}  // namespace

void draw_curves(std::vector<Curve> curves, Gnuplot& gnuplot) {
  std::erase_if(curves, [](const Curve& curve) {
    return std::all_of(curve.runs.begin(), curve.runs.end(),
                       [](const auto& run) { return run.empty(); });
  });
  if (curves.empty()) return;
  const std::vector<Panel> panels = panels_with_values(curves);
  Extent losses;
  for_each_row(curves, [&](const MetricsRow& row) {
    losses.include(row.train_loss);
    losses.include(row.test_loss);
  });
  constexpr std::size_t letters_of_band = 27;  // of the line that explains the bands
  std::size_t letters = 0, epochs = 0;
  for (const Curve& curve : curves) {
    letters = std::max(letters, curve.title.size());
    if (curve.runs.size() > 1) letters = std::max(letters, letters_of_band);
    for (const auto& run : curve.runs) epochs = std::max(epochs, run.size());
  }
  constexpr double wide_range = 100;
  const bool is_logarithmic = losses.low > 0 && losses.high / losses.low > wide_range;

  // Sizes in pixels.
  constexpr int panels_width = 880, key_sample = 80, letter = 9;
  const int width = panels_width + key_sample + letter * static_cast<int>(letters);
  const int height = std::max<int>(640, 60 + 18 * static_cast<int>(curves.size()));
  // Sizes as shares of the picture.
  const double key_left = static_cast<double>(panels_width) / width;
  constexpr double left = 0.07, bottom = 0.09, top = 0.94, column_gap = 0.08, row_gap = 0.17;
  const bool has_two_rows = panels.size() > 2;
  const double panel_width = (key_left - 0.01 - left - column_gap) / 2;
  const double panel_height = has_two_rows ? (top - bottom - row_gap) / 2 : top - bottom;

  std::string script = data_blocks(curves, panels);
  script += fmt::format(
      "set multiplot\nset grid {}\nset xlabel 'epoch'\n"
      "set style fill transparent solid 0.18 noborder\nunset key\n{}",
      grid_colour, epochs <= 20 ? "set xtics 1\n" : "");
  for (std::size_t p = 0; p < panels.size(); ++p) {
    const double x = left + static_cast<double>(p % 2) * (panel_width + column_gap);
    const double y = bottom + (has_two_rows && p < 2 ? panel_height + row_gap : 0);
    constexpr std::size_t first_column = 2, columns_per_panel = 3;
    script += margins({x, x + panel_width, y, y + panel_height});
    script += panel_commands(curves, panels[p], first_column + columns_per_panel * p,
                             is_logarithmic && panels[p].scale == 1);
  }
  script += key_commands(curves, key_left);
  gnuplot.draw("learning_curves", width, height, script);
}

}  // namespace lateral
