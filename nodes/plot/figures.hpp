// The figures that plot() draws, a file each.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "nodes/plot/gnuplot.hpp"
#include "nodes/results/metrics.hpp"
#include "nodes/results/run_directory.hpp"

namespace lateral {

struct Record;

/// One line of the learning curves: runs that differ only in their seed.
struct Curve {
  std::string title;
  std::vector<std::vector<MetricsRow>> runs;
};

/// learning_curves: losses and accuracies against epochs, each curve the mean of its runs within
/// the band from the smallest to the largest. Draws nothing if no run has an epoch.
void draw_curves(std::vector<Curve> curves, Gnuplot& gnuplot);

// Each of the following draws results of one run, and returns false if the run has none of them.

/// probes: a panel for each probe with a line for each layer, against training steps.
bool draw_probes(const RunFiles& run, Gnuplot& gnuplot);

/// spectrum: singular values of each layer's decorrelating matrix.
bool draw_spectrum(const RunFiles& run, Gnuplot& gnuplot);

/// correlation_RECORD: heat maps of a layer's correlations before and after decorrelation, at the
/// first and the last recorded step, and their eigenvalues.
bool draw_correlation(const RunFiles& run, const Record& record, Gnuplot& gnuplot);

/// settling_RECORD: how the units of one sample settled, at the first and the last recorded step.
bool draw_settling(const RunFiles& run, const Record& record, Gnuplot& gnuplot);

/// Maximum number of layers of a record that are drawn, beginning at the input.
inline constexpr std::size_t drawn_layers_max = 8;

/// The name of a folder, also of "." and of a path that ends in '/'.
std::string folder_name(const std::filesystem::path& folder);

}  // namespace lateral
