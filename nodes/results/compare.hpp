// compare: what differs between two runs, in their settings and in their results.
#pragma once

#include <filesystem>
#include <string>

namespace lateral {

/// A table: the fields that differ, then final losses and accuracies, epochs, time, messages and
/// bytes a training sample, and whether the learned state is the same bits.
/// Throws UserError if a folder is not a run that has ended.
std::string compare_runs(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace lateral
