// Spectra of the decorrelating matrices in a checkpoint.
#include <fmt/format.h>

#include <algorithm>

#include "core/probe/spectra.hpp"
#include "nodes/plot/figures.hpp"
#include "nodes/results/checkpoint.hpp"

namespace lateral {
namespace {

/// The letter of a layer's decorrelating matrix, "R" or "M"; "" for other tensors. The names are
/// those of the checkpoint's layout (nodes/results/CHECKPOINT.md).
std::string decorrelating_matrix(const CheckpointTensor& tensor) {
  if (tensor.name == "decorrelation/R") return "R";
  if (tensor.name == "decorrelation/M") return "M";
  return "";
}

}  // namespace

void draw_spectrum(const std::vector<DrawnRun>& runs, Gnuplot& gnuplot) {
  constexpr std::size_t bytes_max = std::size_t{1} << 34;
  constexpr std::uint32_t units_max = 4096;  // the decomposition of a larger one takes minutes
  std::string data, plot;
  std::size_t curves = 0, letters = 0;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    if (!std::filesystem::exists(runs[r].files.checkpoint())) continue;
    std::size_t layer = 0;
    for (const CheckpointTensor& tensor :
         read_checkpoint(runs[r].files.checkpoint(), {bytes_max, bytes_max}).tensors) {
      const std::string letter = decorrelating_matrix(tensor);
      if (letter.empty() || tensor.shape.size() != 2 || tensor.shape[0] > units_max) continue;
      // Column-major here and row-major there: the transpose, which has the same singular values.
      const Eigen::Map<const Matrix> matrix(tensor.values.data(), tensor.shape[1], tensor.shape[0]);
      const Eigen::VectorXd values = singular_values(matrix);
      data += fmt::format("$s{} << EOD\n", curves);
      for (Index i = 0; i < values.size(); ++i)
        data +=
            fmt::format("{:.6g} {:.6g}\n",
                        static_cast<double>(i + 1) / static_cast<double>(values.size()), values[i]);
      data += "EOD\n";
      const std::string title = fmt::format("{}: {} {}", runs[r].title, tensor.layer, letter);
      plot += fmt::format("{}$s{} with lines lw 2 dt {} lc rgb '{}' title {}",
                          curves > 0 ? next_curve : "plot ", curves, r + 1, colour(layer),
                          gnuplot_string(title));
      letters = std::max(letters, title.size());
      ++curves;
      ++layer;
    }
  }
  if (curves == 0) return;
  constexpr int plot_width = 700, letter_width = 9, line_height = 20;
  gnuplot.draw(
      "spectrum", plot_width + 60 + letter_width * static_cast<int>(letters),
      std::max(520, 60 + line_height * static_cast<int>(curves)),
      fmt::format("{}set title 'Spectrum of the decorrelating matrices'\n"
                  "set logscale y\nset format y '10^{{%L}}'\nset grid {}\n"
                  "set xlabel 'rank / number of units'\n"
                  "set ylabel 'singular value'\nset key outside Left reverse noenhanced\n{}\n",
                  data, grid_colour, plot));
}

}  // namespace lateral
