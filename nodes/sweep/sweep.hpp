// Sweep: a sweep file, checked, as the list of its members; and the tables of their results.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lateral {

struct SweepMember {
  std::size_t setting;  ///< members that differ in nothing but the seed have the same
  std::string arm;
  std::vector<std::string> values;  ///< of the sweep's axes, in their order; empty: not of this arm
  std::uint64_t seed;
  std::vector<std::string> sets;  ///< PATH=VALUE of everything, the seed included
};

struct Sweep {
  std::string name;
  std::string text;  ///< the file, with its experiment as experiment.textproto beside it
  std::filesystem::path experiment;
  std::vector<std::string> axes;  ///< paths of all axes, in the order of the file
  std::vector<SweepMember> members;
  std::string metric;
  bool smaller_is_better;
};

/// Reads and checks; also that every member is a valid experiment.  Throws UserError.
Sweep load_sweep(const std::filesystem::path& file);
/// The same from text, `file` being where it would lie; without the check of the members.
Sweep parse_sweep(const std::string& text, const std::filesystem::path& file);

/// The run directory of a member within the folder of its sweep.
std::filesystem::path member_folder(const std::filesystem::path& sweep, std::size_t member);

/// How a member ended.
struct SweepResult {
  enum class Status {
    done,
    diverged,  ///< numbers were no longer finite, or the dynamics did not settle: a result
    failed,    ///< something else; `message` says what
  };
  Status status;
  std::string message;
  // After the last epoch that ended.
  std::size_t epochs = 0;
  double train_loss = 0, train_accuracy = 0, test_loss = 0, test_accuracy = 0;
  std::string state_sha256;
};

/// One line, to keep a result in a file and have it back in the same bits.
std::string to_line(const SweepResult& result);
std::optional<SweepResult> from_line(const std::string& line);

using SweepResults = std::vector<std::optional<SweepResult>>;  ///< by member

/// A row a member: member, arm, the axes, seed, status, epochs, losses, accuracies, state_sha256.
std::string sweep_csv(const Sweep& sweep, const SweepResults& results);
/// A row a setting, the best first: mean, smallest and largest metric over its seeds, how many of
/// them diverged; and which setting is best, overall and in each arm.
std::string sweep_table(const Sweep& sweep, const SweepResults& results);

inline constexpr std::size_t sweep_members_max = 100000;
/// Memory for the settings of all members.
inline constexpr std::size_t sweep_bytes_max = std::size_t{256} << 20;

}  // namespace lateral
