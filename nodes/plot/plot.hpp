// plot: pictures of runs and sweeps, drawn by gnuplot.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "nodes/plot/gnuplot.hpp"

namespace lateral {

struct Plots {
  std::vector<std::filesystem::path> files;  ///< that were written
  std::string note;                          ///< what was left out, and why; empty: nothing
};

/// Writes pictures of runs, sweeps and folders of runs into `out`:
///   learning_curves      loss and accuracy against epochs. Runs of a sweep or of a folder of runs
///                        that differ only in their seeds are one curve, their mean, within the
///                        band from the smallest to the largest value
///   probes               for each run every probe against training steps, a line for each layer
///   spectrum             singular values of each layer's R or M, of all runs
///   correlation_RECORD   recorded correlations before and after decorrelation
///   settling_RECORD      recorded settling trajectories
/// With several runs the last two have the name of the run at their end; all but the learning
/// curves are drawn for at most drawn_runs_max runs. Throws UserError if a folder contains none of
/// these, if a file in it is damaged, if there is nothing to draw, or if gnuplot is not installed.
Plots plot(const std::vector<std::filesystem::path>& folders, const std::filesystem::path& out,
           const PlotOptions& options);

}  // namespace lateral
