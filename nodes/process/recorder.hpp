// Recorder: collects the values that a layer's records select in a training step and sends them to
// the coordinator.
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "core/layer/layer.hpp"
#include "nodes/experiment/record_plan.hpp"
#include "nodes/process/process.hpp"

namespace lateral {

/// The calls of a step: begin(), add_micro_batch() for each micro-batch, send(). Does not change
/// the layer; a step that is not recorded has no cost.
class Recorder {
 public:
  /// `records` concern one layer, and must outlive the recorder.
  explicit Recorder(const std::vector<Record>& records) : records_{records} {}

  /// To be called before the layer's response to the first micro-batch.
  void begin(std::uint64_t step, Index batch, Layer& layer);
  ///   z (inputs × b) input and y (units × b) output of the layer, for the samples from `first` on
  void add_micro_batch(ConstMatrixRef z, ConstMatrixRef y, Index first);
  /// To be called when the layer has responded to the whole batch and not yet learned from it.
  void send(Layer& layer, const LayerStep& step, Outbox& out);

 private:
  /// A row that is being filled.
  struct Row {
    const Record* record;
    const Record::OfLayer* of;
    std::vector<std::uint32_t> shape;
    Block values;
    std::vector<Index> last_state;  // by sample: the last recorded state of its settling
  };
  void add_settling(int settling_step, ConstMatrixRef x, std::span<const Index> column);
  static void repeat_last_state(Row& row);
  static void fill(Row& row, Layer& layer, const LayerStep& step);

  const std::vector<Record>& records_;
  std::deque<Row> rows_;  // of the current step
};

}  // namespace lateral
