// The results of the members of a sweep: one JSON file for each, and the tables of all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nodes/sweep/sweep_file.hpp"

namespace lateral {

struct SweepResult {
  enum class Status {
    done,
    diverged,  ///< numbers were no longer finite, or the dynamics did not settle: a result
    failed,    ///< for another reason, see `message`
  };
  Status status = Status::done;
  std::string message;
  std::string configuration_sha256;  ///< of the member's effective configuration, 64 digits
  std::uint64_t epochs = 0;  ///< that have ended; the values below are those of the last one
  double train_loss = 0, train_accuracy = 0, test_loss = 0, test_accuracy = 0;
  std::string state_sha256;  ///< 64 digits; empty unless done
};

/// A JSON object, indented, that parse_sweep_result() turns into a result with the same bits:
///   format_version         1
///   lateral_version        of the program that wrote it
///   configuration_sha256   of experiment.textproto in the run directory of the member
///   status                 "done", "diverged" or "failed"
///   message                the reason if not done, otherwise ""
///   epochs                 number of epochs that ended
///   final                  train_loss, train_accuracy, test_loss and test_accuracy after the last
///                          epoch, with "nan", "inf" and "-inf" as text; null without an epoch
///   state_sha256           of the learned state if done, else null
std::string to_json(const SweepResult& result);
/// Throws UserError, one line that begins with `where`, if the text is not such an object.
SweepResult parse_sweep_result(const std::string& json, const std::string& where);

inline constexpr int sweep_result_format_version = 1;
inline constexpr std::size_t sweep_result_bytes_max = std::size_t{64} << 10;

using SweepResults = std::vector<std::optional<SweepResult>>;  ///< by member

/// A row for each member: member, arm, the axes, seed, status, epochs, losses, accuracies,
/// state_sha256.
std::string sweep_csv(const Sweep& sweep, const SweepResults& results);
/// A row for each setting, the best first: mean, smallest and largest metric over its seeds, and
/// how many of them diverged; then which setting is the best of all and of each arm.
std::string sweep_table(const Sweep& sweep, const SweepResults& results);

/// "ARM  PATH=VALUE  PATH=VALUE", without axes that the arm does not have.
std::string setting_text(const Sweep& sweep, const SweepMember& member);

}  // namespace lateral
