// Checkpoint: all learned state of a network, as an HDF5 file that NumPy and PyTorch users can
// read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "nodes/results/disk.hpp"
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
  wire::Sums train;              ///< of the unfinished epoch
  double wall_seconds = 0;       ///< spent so far
  bool complete_header = false;  ///< all of the above were in the file
  std::vector<CheckpointTensor> tensors;
};

inline constexpr std::uint32_t checkpoint_format_version = 1;

/// Atomic: the file is there whole or not at all; the one that was there becomes `previous`.
/// Throws UserError naming file and reason.
void write_checkpoint(const std::filesystem::path& path, const std::filesystem::path& previous,
                      const Checkpoint& checkpoint, Disk& disk = real_disk());

/// What is read of a file, checked before anything is allocated for it.
struct CheckpointLimits {
  std::size_t tensor_bytes_max;
  std::size_t total_bytes_max;
};

/// Any file with this layout; the attributes may be missing (complete_header is false then).
/// Throws UserError naming the file, the object and what was expected.
///   layer: only the tensors of this one; empty: all
Checkpoint read_checkpoint(const std::filesystem::path& path, const CheckpointLimits& limits,
                           const std::string& layer = "");

/// The newer of a run's two checkpoints that is whole. If that is the older one, `note` is told
/// why, and with `repair` it takes the place of the damaged one, which would be kept beside the
/// next. Throws UserError if neither is.
Checkpoint newest_checkpoint(const RunDirectory& directory, const CheckpointLimits& limits,
                             const std::function<void(const std::string&)>& note,
                             bool repair = false);

/// SHA-256 over the state, as hexadecimal digits. Order: the tensors as given (layers from the
/// input to the output, within a layer weight, bias, feedback, decorrelation/…, optimizer/…); of
/// each
/// "<layer>/<name>\n" and then its float32 values, little-endian, row-major.
std::string state_sha256(const std::vector<CheckpointTensor>& tensors);

}  // namespace lateral
