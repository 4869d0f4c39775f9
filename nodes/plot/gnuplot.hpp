// Gnuplot: draws scripts as SVG and PNG files by running gnuplot; and pieces that scripts are made
// of.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lateral {

struct PlotOptions {
  std::vector<std::string> formats = {"svg", "png"};  ///< or pdf
  std::string only;           ///< figures whose names begin with this; empty: all
  int width = 0, height = 0;  ///< in pixels; 0: as each figure needs
};

class Gnuplot {
 public:
  /// Pictures are written into `folder`, which is created if it does not exist.
  /// Throws UserError if that is not possible, or a format is not known.
  Gnuplot(std::filesystem::path folder, PlotOptions options);

  /// Whether the figure of this name is to be drawn.
  bool wants(std::string_view name) const {
    return options_.only.empty() || name.starts_with(options_.only);
  }
  /// Writes NAME.svg, NAME.png, …, width × height pixels unless the options have a size. Writes
  /// nothing if the figure is not wanted. `script` must not set the terminal and
  /// the output. Throws UserError if gnuplot is not installed, or failed.
  void draw(const std::string& name, int width, int height, std::string_view script);

  /// The files written so far.
  const std::vector<std::filesystem::path>& files() const { return files_; }

 private:
  std::filesystem::path folder_;
  PlotOptions options_;
  std::vector<std::filesystem::path> files_;
};

inline constexpr std::size_t colours = 8;
/// "#RRGGBB" of line number i; repeats after `colours` lines. Readers with colour vision
/// deficiency can distinguish them.  Source: Okabe & Ito 2008.
const char* colour(std::size_t i);

/// `text` as a string constant. Between single quotes no character but the quote has a meaning to
/// gnuplot; it is doubled, and control characters are replaced by spaces.
std::string gnuplot_string(std::string_view text);

/// The position of the next panel of a multiplot: its edges as shares of the picture's width and
/// height, from the lower left corner.
struct PanelEdges {
  double left, right, bottom, top;
};
std::string margins(const PanelEdges& edges);

/// Separator between two elements of a plot command.
inline constexpr const char* next_curve = ", \\\n  ";

/// Style of grid lines, less visible than the curves.
inline constexpr const char* grid_colour = "lc rgb '#dddddd'";
/// Commands for a logarithmic axis with powers of ten, and for a linear one.
inline constexpr const char* log_y = "set logscale y\nset format y '10^{%L}'\n";
inline constexpr const char* linear_y = "unset logscale y\nset format y '%g'\n";

}  // namespace lateral
