// compare_runs: what differs between runs, in their settings and in their results.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lateral {

/// A table with a column for each run: the settings that differ, then epochs, final losses and
/// accuracies with their differences to the first, times, messages and bytes, and whether the
/// learned states are the same bits. A folder of runs stands for all runs in it, of which those
/// that differ only in their seeds are one column: mean (smallest to largest). Throws UserError if
/// a folder is neither a run that has ended nor a folder of such runs, or if there are not at least
/// two columns.
std::string compare_runs(const std::vector<std::filesystem::path>& folders);

}  // namespace lateral
