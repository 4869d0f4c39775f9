// Spectra of the decorrelating matrices in a checkpoint.
#include <fmt/format.h>

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

bool draw_spectrum(const RunFiles& run, Gnuplot& gnuplot) {
  if (!std::filesystem::exists(run.checkpoint())) return false;
  constexpr std::size_t bytes_max = std::size_t{1} << 34;
  constexpr std::uint32_t units_max = 4096;  // the decomposition of a larger one takes minutes
  std::string data, plot;
  std::size_t curves = 0;
  for (const CheckpointTensor& tensor :
       read_checkpoint(run.checkpoint(), {bytes_max, bytes_max}).tensors) {
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
    plot += fmt::format("{}$s{} with lines lw 2 lc rgb '{}' title {}",
                        curves > 0 ? next_curve : "plot ", curves, colour(curves),
                        gnuplot_string(tensor.layer + " " + letter));
    ++curves;
  }
  if (curves == 0) return false;
  gnuplot.draw("spectrum", 900, 520,
               fmt::format("{}set title 'Spectrum of the decorrelating matrices'\n"
                           "set logscale y\nset grid {}\nset xlabel 'rank / number of units'\n"
                           "set ylabel 'singular value'\nset key outside noenhanced\n{}\n",
                           data, grid_colour, plot));
  return true;
}

}  // namespace lateral
