// The figures that plot() draws, a file each.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "nodes/plot/gnuplot.hpp"
#include "nodes/results/metrics.hpp"
#include "nodes/results/run_directory.hpp"
#include "nodes/results/run_groups.hpp"

namespace lateral {

struct Record;

/// One line of the learning curves: runs that differ only in their seed.
struct Curve {
  std::string title;
  std::string evaluated_on;  ///< "test" or "validation"
  std::vector<std::vector<MetricsRow>> runs;
};

/// learning_curves: losses and accuracies against epochs, each curve the mean of its runs within
/// the band from the smallest to the largest. Draws nothing if no run has an epoch.
void draw_curves(std::vector<Curve> curves, Gnuplot& gnuplot);

/// A run whose own results are drawn.
struct DrawnRun {
  RunFiles files;
  std::string title;  ///< differs between runs
};
/// Runs that share a figure of their own results.
inline constexpr std::size_t drawn_runs_max = 8;

/// probes: for each run a block of panels, one for each probe with a line for each layer, against
/// training steps.
void draw_probes(const std::vector<DrawnRun>& runs, Gnuplot& gnuplot);

/// spectrum: singular values of each layer's decorrelating matrix, of all runs.
void draw_spectrum(const std::vector<DrawnRun>& runs, Gnuplot& gnuplot);

// Each of the following draws a record of one run, and returns false if it has no rows.
//   suffix: of the figure's name, to tell runs apart

/// correlation_RECORD: heat maps of a layer's correlations before and after decorrelation, at the
/// first and the last recorded step, and their eigenvalues.
bool draw_correlation(const RunFiles& run, const Record& record, const std::string& suffix,
                      Gnuplot& gnuplot);

/// settling_RECORD: how the units of one sample settled, at the first and the last recorded step.
bool draw_settling(const RunFiles& run, const Record& record, const std::string& suffix,
                   Gnuplot& gnuplot);

/// Maximum number of layers of a record that are drawn, beginning at the input.
inline constexpr std::size_t drawn_layers_max = 8;

}  // namespace lateral
