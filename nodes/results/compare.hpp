// compare_runs: what differs between two runs, in their settings and in their results.
#pragma once

#include <filesystem>
#include <string>

namespace lateral {

/// A table: the settings that differ, then epochs, final losses and accuracies, times, messages and
/// bytes, and whether the learned states are the same bits.
/// Throws UserError if a folder is not a run that has ended.
std::string compare_runs(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace lateral
