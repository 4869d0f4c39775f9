// plot: pictures of runs and sweeps, drawn by gnuplot.
#pragma once

#include <filesystem>
#include <vector>

namespace lateral {

/// Writes into `out`, each as SVG and PNG:
///   learning_curves   loss and accuracy against epochs; runs of a sweep that differ in nothing but
///                     their seed are one line, their mean, within the band from smallest to
///                     largest
///   probes            every probe against steps, a line a layer; of the first run that has probes
///   spectrum          singular values of each layer's R or M; of the first run that has them
/// `paths` are folders of runs or of sweeps. Returns the files written.
/// Throws UserError if a folder holds neither, or gnuplot is not there.
std::vector<std::filesystem::path> plot(const std::vector<std::filesystem::path>& paths,
                                        const std::filesystem::path& out);

}  // namespace lateral
