// plot: pictures of runs and sweeps, drawn by gnuplot.
#pragma once

#include <filesystem>
#include <vector>

namespace lateral {

/// Writes pictures of the runs and sweeps in `folders` into `out`, each as SVG and PNG:
///   learning_curves      loss and accuracy against epochs. Runs of a sweep that differ only in
///   their seed are one curve, their mean, within the band from the
///                        smallest to the largest value
///   probes               every probe against training steps, a line for each layer
///   spectrum             singular values of each layer's R or M
///   correlation_RECORD   recorded correlations before and after decorrelation
///   settling_RECORD      recorded settling trajectories
/// All pictures except the learning curves show one run, the first that has the data.
/// Returns the files written.
/// Throws UserError if a folder contains neither a run nor a sweep, if a file in it is damaged, if
/// there is nothing to draw, or if gnuplot is not installed.
std::vector<std::filesystem::path> plot(const std::vector<std::filesystem::path>& folders,
                                        const std::filesystem::path& out);

}  // namespace lateral
