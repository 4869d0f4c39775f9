// Sweep: a sweep file, checked, as the list of its members.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "nodes/experiment/data_folders.hpp"

namespace lateral {

struct SweepMember {
  std::size_t setting;  ///< the same for members that differ only in the seed
  std::string arm;
  /// Of the sweep's axes, in their order; empty where the arm does not have the axis.
  std::vector<std::string> values;
  std::uint64_t seed;
  std::vector<std::string> sets;  ///< PATH=VALUE of all settings, including the seed
};

struct Sweep {
  std::string name;
  std::string text;  ///< the file, with `experiment` changed to experiment.textproto beside it
  std::filesystem::path experiment;
  std::vector<std::string> axes;  ///< paths of all axes, in the order of the file
  std::vector<SweepMember> members;
  std::string metric;
  std::string evaluated_on;  ///< "test" or "validation" samples
  bool smaller_is_better;
};

/// Reads a sweep file and checks it, including that every member is a valid experiment.
/// Throws UserError.
Sweep load_sweep(const std::filesystem::path& file, const DataFolders& folders = {});
/// The same from text, without the check of the members. `file` names the text in messages, and the
/// experiment's path is relative to its folder.
Sweep parse_sweep(const std::string& text, const std::filesystem::path& file,
                  const DataFolders& folders = {});

inline constexpr std::size_t sweep_members_max = 100000;
/// Memory for the settings of all members.
inline constexpr std::size_t sweep_bytes_max = std::size_t{256} << 20;

}  // namespace lateral
