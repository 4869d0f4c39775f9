// Checkpoint: all learned state of a network, as an HDF5 file that h5py can read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "nodes/base/disk.hpp"
#include "nodes/results/run_directory.hpp"
#include "transport/message.hpp"

namespace lateral {

/// One data set: /layers/<layer>/<name>, float32, row-major.
struct CheckpointTensor {
  std::string layer;
  std::string name;
  std::vector<std::uint32_t> shape;
  Block values;
};

struct Checkpoint {
  std::string experiment;  ///< the effective configuration
  std::uint64_t step = 0;  ///< training steps done
  std::uint64_t epoch = 0;
  wire::Sums train;              ///< loss, correct answers and samples of the unfinished epoch
  double wall_seconds = 0;       ///< of training so far
  double first_loss = 0;         ///< mean of the first batch of the run; 0: none yet
  bool complete_header = false;  ///< all of the above, from a file that a run has written
  std::vector<CheckpointTensor> tensors;
};

inline constexpr std::uint32_t checkpoint_format_version = 2;

/// Writes the file completely or not at all; the file that it replaces is renamed to `previous`.
/// Throws UserError naming file and reason.
void write_checkpoint(const std::filesystem::path& path, const std::filesystem::path& previous,
                      const Checkpoint& checkpoint, Disk& disk = real_disk());

/// Limits for the data sets of a file, checked before memory is allocated for them.
struct CheckpointLimits {
  std::size_t tensor_bytes_max;
  std::size_t total_bytes_max;
};

/// Reads a checkpoint, all of which must match its digest (CHECKPOINT.md) before anything of it is
/// returned; or any file with this layout that has none of the attributes of a checkpoint
/// (complete_header is then false).
///   layer: returns only the tensors of this layer, of a checkpoint of this run; empty: all
/// Throws UserError naming the file, the object and what was expected. Beside the state at most
/// 32 MB, and with a layer the largest tensor, are allocated.
Checkpoint read_checkpoint(const std::filesystem::path& path, const CheckpointLimits& limits,
                           const std::string& layer = "");

/// The newest undamaged one of a run's two checkpoints. If that is the previous one, `note` is
/// called with a line that names the reason, and with `repair` it replaces the damaged one (which
/// would otherwise become the previous one at the next checkpoint). Throws UserError if both are
/// damaged, or the newest cannot be opened now (it may be undamaged).
Checkpoint newest_checkpoint(const RunDirectory& directory, const CheckpointLimits& limits,
                             const std::function<void(const std::string&)>& note,
                             bool repair = false);

/// SHA-256 over the state, as hexadecimal digits: of each tensor "<layer>/<name>\n" and then its
/// float32 values, little-endian, row-major. Order: the tensors as given (layers from the input to
/// the output; within a layer weight, bias, feedback, decorrelation/…, optimizer/…).
std::string state_sha256(const std::vector<CheckpointTensor>& tensors);

}  // namespace lateral
