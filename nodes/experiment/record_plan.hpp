// The recording that an experiment requests (recording.h5): records, their shapes and sizes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/types.hpp"

namespace lateral {

struct Experiment;
class Settings;

/// What a row of a record contains; experiment.proto documents the shapes.
enum class Recorded { input, decorrelated, activity, weight, lateral, correlation, settling };

/// One `recording.record` of an experiment, with the layers that it concerns.
struct Record {
  struct OfLayer {
    std::string layer;
    std::vector<Index> units;          ///< ascending
    std::vector<std::uint32_t> shape;  ///< of a row; fewer samples in a smaller batch
  };
  std::string name;
  std::string kind;  ///< `what` as text
  Recorded what = Recorded::input;
  std::uint64_t interval = 1;
  std::vector<OfLayer> layers;  ///< from the input to the output

  /// Whether a row is recorded at training step `step` (from 1).
  bool is_due(std::uint64_t step) const { return (step - 1) % interval == 0; }
  /// Rows after this number of training steps.
  std::uint64_t rows(std::uint64_t steps) const {
    return steps == 0 ? 0 : (steps - 1) / interval + 1;
  }
  /// The dimension of a row that counts samples, if there is one.
  std::optional<std::size_t> sample_axis() const;
};

/// Numbers below n from a selection such as "0-9,20"; all of them if it is empty.
/// Throws UserError, which begins with `where`, unless they ascend.
std::vector<Index> parse_units(std::string_view text, Index n, const std::string& where);

/// The records of an experiment whose layers are known.  Throws UserError.
std::vector<Record> read_records(const Settings& settings, const Experiment& experiment);

/// Extents of the chunks of a data set (rows, shape…) in the file.
std::vector<std::uint64_t> chunk_of(const std::vector<std::uint32_t>& shape, std::uint64_t rows);
/// Chunks of the data set of steps [rows].
inline constexpr std::uint64_t step_chunk = 256;

/// Upper bound of the size of recording.h5 [bytes] after this number of training steps. In floating
/// point, since a request may exceed the range of integers.
double recording_bytes(const std::vector<Record>& records, std::uint64_t steps);
/// Largest row [bytes].
std::size_t record_bytes_max(const std::vector<Record>& records);
/// Upper bound of the training steps of an epoch, from the data format.
std::uint64_t train_steps_per_epoch_max(const Experiment& experiment);
/// Throws UserError, beginning with `where`, if the whole run would record more than the limit.
void check_recording_size(const Experiment& experiment, std::uint64_t steps_per_epoch,
                          const std::string& where);

inline constexpr int records_max = 64;
/// Units that all records select together, each of which takes 8 bytes in every process.
inline constexpr std::size_t recorded_units_max = std::size_t{1} << 24;

}  // namespace lateral
