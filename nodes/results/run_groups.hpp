// Groups of runs: those below a folder, and those that differ only in their seeds.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "nodes/results/run_directory.hpp"

namespace lateral {

/// Runs with the same effective configuration but for `seed`, each with another seed.
struct RunGroup {
  /// The folder of all of them if there are no others in it, else the name of the first one.
  std::string title;
  std::vector<RunFiles> runs;
};

/// Whether this folder is that of a run: whether it has metrics.
bool is_run(const RunFiles& run);

/// The run directories directly below this folder, by name.
std::vector<RunFiles> runs_below(const std::filesystem::path& folder);

/// In the order of the first run of each group. A run whose experiment cannot be read is a group of
/// its own.
std::vector<RunGroup> group_by_settings(const std::vector<RunFiles>& runs);

/// The name of a folder, also of "." and of a path that ends in '/'.
std::string folder_name(const std::filesystem::path& folder);

/// "test" or "validation": what a run evaluates after an epoch.
std::string evaluated_on(const RunFiles& run);

}  // namespace lateral
