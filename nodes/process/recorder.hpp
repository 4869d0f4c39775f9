// Recorder: takes what a layer's records want out of a training step and sends it to the
// coordinator.
#pragma once

#include <deque>
#include <span>

#include "core/layer/dense.hpp"
#include "nodes/process/process.hpp"
#include "nodes/experiment/record_plan.hpp"

namespace lateral {

/// The calls of a step: begin, see for each piece of the batch as the layer responds to it, send.
/// It only looks on; a step of which nothing is recorded costs nothing.
class Recorder {
 public:
  /// `records` must outlive it.
  Recorder(const std::vector<Record>& records, const std::string& layer);

  /// Before the layer responds to the first piece of a batch.
  void begin(std::uint64_t step, Index batch, DenseLayer& layer);
  ///   z (inputs × b) what the layer received, y (units × b) what it answered, for the samples from
  ///   `first` on
  void see(ConstMatrixRef z, ConstMatrixRef y, Index first);
  /// When the layer has responded to all of the batch and not yet learned from it.
  void send(DenseLayer& layer, Outbox& out);

 private:
  /// What a record keeps of this layer.
  struct Part {
    const Record* record;
    const Record::OfLayer* of;
  };
  /// A row in the making.
  struct Row {
    Part part;
    std::vector<std::uint32_t> shape;
    Block values;
    std::vector<Index> last_state;  // by sample: the last of its settling that was seen
  };
  void on_settling(int step, ConstMatrixRef x, std::span<const Index> column);
  static void hold_settled(Row& row);
  static void fill(Row& row, DenseLayer& layer);

  std::vector<Part> parts_;
  std::deque<Row> rows_;  // of the step at hand
  std::uint64_t step_ = 0;
};

}  // namespace lateral
