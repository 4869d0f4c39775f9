// Recorder: takes what a layer's records want out of a training step and sends it to the
// coordinator.
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "core/layer/layer.hpp"
#include "nodes/experiment/record_plan.hpp"
#include "nodes/process/process.hpp"

namespace lateral {

/// The calls of a step: begin, add_piece for each piece of the batch as the layer responds to it,
/// send. It reads and changes nothing; a step of which nothing is recorded costs nothing.
class Recorder {
 public:
  /// `records` concern one layer, and must outlive the recorder.
  explicit Recorder(const std::vector<Record>& records) : records_{records} {}

  /// Before the layer responds to the first piece of a batch.
  void begin(std::uint64_t step, Index batch, Layer& layer);
  ///   z (inputs × b) what the layer received, y (units × b) what it answered, for the samples from
  ///   `first` on
  void add_piece(ConstMatrixRef z, ConstMatrixRef y, Index first);
  /// When the layer has responded to all of the batch and not yet learned from it.
  void send(Layer& layer, const LayerStep& step, Outbox& out);

 private:
  /// A row that is being filled.
  struct Row {
    const Record* record;
    const Record::OfLayer* of;
    std::vector<std::uint32_t> shape;
    Block values;
    std::vector<Index> last_state;  // by sample: the last of its settling that was seen
  };
  void add_settling(int settling_step, ConstMatrixRef x, std::span<const Index> column);
  static void hold_settled(Row& row);
  static void fill(Row& row, Layer& layer, const LayerStep& step);

  const std::vector<Record>& records_;
  std::deque<Row> rows_;  // of the step at hand
};

}  // namespace lateral
