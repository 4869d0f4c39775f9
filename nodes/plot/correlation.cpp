// Recorded correlations: a row of heat maps for each layer, and beside them their eigenvalues.
#include <fmt/format.h>

#include <algorithm>

#include "core/probe/spectra.hpp"
#include "nodes/plot/figures.hpp"
#include "nodes/results/recording_file.hpp"

namespace lateral {
namespace {

/// The panels of the picture, sizes in pixels. Panels are square because their margins are: gnuplot
/// ignores `size ratio` with fixed margins.
struct Grid {
  static constexpr int side = 220, left = 130, map_step = 262, top = 84, row_step = 316;
  static constexpr int bottom = 58, spectrum_gap = 190, spectrum_width = 270, right = 30;
  static constexpr int colour_box_gap = 14, colour_box_width = 14;
  int maps, layers;

  int maps_right() const { return left + maps * map_step - (map_step - side); }
  int width() const { return maps_right() + spectrum_gap + spectrum_width + right; }
  int height() const { return top + layers * row_step - (row_step - side) + bottom; }
  PanelEdges panel(int x, int panel_width, int layer) const {
    const int y = top + layer * row_step;
    return {x_share(x), x_share(x + panel_width), y_share(y + side), y_share(y)};
  }
  PanelEdges map(int m, int layer) const { return panel(left + m * map_step, side, layer); }
  PanelEdges spectrum(int layer) const {
    return panel(width() - right - spectrum_width, spectrum_width, layer);
  }
  PanelEdges colour_box(int layer) const {
    return panel(maps_right() + colour_box_gap, colour_box_width, layer);
  }

 private:
  double x_share(int pixels) const { return static_cast<double>(pixels) / width(); }
  double y_share(int pixels) const { return 1 - static_cast<double>(pixels) / height(); }
};

/// The grey ground of a heat map shows where nothing is drawn: at units that do not vary.
constexpr const char* ground =
    "set object 1 rectangle from graph 0,0 to graph 1,1 fc rgb '#cccccc' fillstyle solid noborder "
    "behind\n";

/// What one heat map shows.
struct Map {
  bool is_after;  ///< decorrelation
  bool is_last;   ///< of the recorded steps, else the first
};
/// The map in column m of the picture.
Map map_in_column(int m) { return {m % 2 == 1, m >= 2}; }

/// The corner of a correlation matrix that is drawn, at most 256 units wide.
Matrix drawn_corner(const std::vector<float>& row, const Record::OfLayer& of, bool is_after) {
  using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  constexpr Index units_max = 256;
  const auto n = static_cast<Index>(of.units.size());
  const Index drawn = std::min(n, units_max);
  return Eigen::Map<const RowMajor>(row.data() + (is_after ? n * n : 0), n, n)
      .topLeftCorner(drawn, drawn)
      .cast<Scalar>();
}

std::string map_data(const std::string& block, const Matrix& correlation) {
  std::string out = fmt::format("${} << EOD\n", block);
  for (Index i = 0; i < correlation.rows(); ++i) {
    for (Index j = 0; j < correlation.cols(); ++j) out += fmt::format(" {:.6g}", correlation(i, j));
    out += "\n";
  }
  return out + "EOD\n";
}

std::string eigenvalue_data(const std::string& block, const Matrix& correlation) {
  std::string out = fmt::format("${} << EOD\n", block);
  const Eigen::VectorXd values = correlation_eigenvalues(correlation);
  constexpr double rounding = 1e-6;
  for (Index i = 0; i < values.size(); ++i)
    if (values[i] > rounding * values[0]) out += fmt::format("{} {:.6g}\n", i + 1, values[i]);
  return out + "EOD\n";
}

std::string colour_box_commands(const PanelEdges& box) {
  return fmt::format(
      "set colorbox user origin screen {:.6g}, screen {:.6g} size screen {:.6g}, screen {:.6g}\n"
      "set cbtics 0.5\nset cblabel 'correlation' offset 0.5,0\n",
      box.left, box.bottom, box.right - box.left, box.top - box.bottom);
}

/// A row of panels: the heat maps of one layer and their eigenvalues.
std::string layer_commands(const Grid& grid, int layer, const Record::OfLayer& of,
                           const RecordedRows& rows) {
  std::string script, spectra;
  for (int m = 0; m < grid.maps; ++m) {
    const Map map = map_in_column(m);
    const Matrix correlation = drawn_corner(map.is_last ? rows.last : rows.first, of, map.is_after);
    const std::string map_block = fmt::format("c{}_{}", layer, m);
    const std::string spectrum_block = fmt::format("e{}_{}", layer, m);
    script += map_data(map_block, correlation) + eigenvalue_data(spectrum_block, correlation);
    const char* const when = map.is_after ? "after" : "before";
    const std::uint64_t step = map.is_last ? rows.steps.back() : rows.steps.front();
    script += margins(grid.map(m, layer));
    script += fmt::format(
        "set title '{} decorrelation, step {}' font ',11' offset 0,-0.4\n"
        "set xrange [-0.5:{}-0.5]\nset yrange [{}-0.5:-0.5]\nset xlabel 'unit' offset 0,0.5\n",
        when, step, correlation.cols(), correlation.rows());
    script += m == 0 ? fmt::format("set ylabel {} noenhanced offset 1,0\n",
                                   gnuplot_string(of.layer + ": unit"))
                     : "unset ylabel\n";
    script += m + 1 == grid.maps ? colour_box_commands(grid.colour_box(layer)) : "unset colorbox\n";
    script += fmt::format("plot ${} matrix with image\nunset label 1\n", map_block);
    const bool is_dashed = grid.maps > 2 && !map.is_last;
    spectra += fmt::format("{}${} with lines lw 2 {}lc rgb '{}' title '{}, step {}'",
                           m > 0 ? next_curve : "plot ", spectrum_block,
                           is_dashed ? "dt (6,4) " : "", colour(map.is_after ? 0 : 1), when, step);
  }
  script += "unset object 1\n" + margins(grid.spectrum(layer));
  script += fmt::format(
      "set title 'eigenvalues'\nset xrange [*:*]\nset yrange [*:*]\nset logscale xy\n"
      "set format '10^{{%L}}'\nset xlabel 'rank'\nset ylabel 'eigenvalue' offset 1,0\n"
      "set grid lt 1 {}\nset key bottom left Left reverse samplen 2 spacing 1 font ',9'\n"
      "{}\nunset logscale\nset format '%g'\nunset grid\nunset key\n{}",
      grid_colour, spectra, ground);
  return script;
}

}  // namespace

bool draw_correlation(const RunFiles& run, const Record& record, const std::string& suffix,
                      Gnuplot& gnuplot) {
  std::vector<RecordedRows> rows;  // by layer
  bool has_two_steps = false;
  for (std::size_t l = 0; l < std::min(record.layers.size(), drawn_layers_max); ++l) {
    rows.push_back(read_recorded(run.recording(), record, record.layers[l]));
    if (rows.back().steps.empty()) return false;
    has_two_steps = has_two_steps || rows.back().steps.size() > 1;
  }
  const Grid grid{has_two_steps ? 4 : 2, static_cast<int>(rows.size())};
  std::string script = fmt::format(
      "set multiplot\n"
      "set label 1 {} at screen 0.5, screen {:.6g} center noenhanced font ',14'\n"
      "set palette defined (-1 '#2166ac', -0.5 '#92c5de', 0 '#ffffff', 0.5 '#f4a582', "
      "1 '#b2182b')\nset cbrange [-1:1]\n{}set tics out nomirror font ',10'\nunset key\n",
      gnuplot_string(folder_name(run.path()) + ": correlation coefficients of the layers' inputs"),
      1 - 22.0 / grid.height(), ground);
  for (std::size_t l = 0; l < rows.size(); ++l)
    script += layer_commands(grid, static_cast<int>(l), record.layers[l], rows[l]);
  script += "unset multiplot\n";
  gnuplot.draw("correlation_" + record.name + suffix, grid.width(), grid.height(), script);
  return true;
}

}  // namespace lateral
