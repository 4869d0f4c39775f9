// SourceProcess: sends batches to the network, and the markers of epochs, snapshots and the end.
#pragma once

#include <mutex>

#include "nodes/data/batches.hpp"
#include "nodes/experiment/plan.hpp"
#include "nodes/process/process.hpp"

namespace lateral {

/// The position in the run at which a source begins.
struct Position {
  std::uint64_t step = 0;   ///< training steps done
  std::uint64_t epoch = 0;  ///< epochs done, evaluation included
  bool evaluate_only = false;
  bool after_snapshot = false;  ///< the snapshot of this position has been sent
  bool ended = false;           ///< the final snapshot has been sent
};

/// Sends the stream: to the layers that read the source (Activity), to the readout (Target), and
/// markers to all of them:
///   a Snapshot; for each epoch the training batches, Drain where several are in flight, the
///   evaluation batches, EpochEnd and Snapshot; at last End.
/// On a request to stop it sends a final Snapshot after the current batch, and End.
class SourceProcess final : public Process {
 public:
  /// Throws UserError if data, plan and position are inconsistent, and what Batches throws.
  SourceProcess(SourcePlan plan, DataSet data, const Position& position);

  Next next() const override;
  void handle(const std::string& peer, Message message, Outbox& out) override;
  void produce(bool stop, Outbox& out) override;
  Refill refill() override;
  void describe(wire::Ready& ready) const override;

 private:
  /// Identifies a batch of training or of evaluation.
  struct BatchName {
    wire::Pass pass;
    std::uint64_t epoch;
    int index;  ///< in the epoch
  };
  struct Batch {
    Block values, targets;  ///< (inputs × samples); (outputs × samples), empty for labels
    std::vector<std::uint32_t> labels;
    Index samples = 0;
  };
  Batch load(const BatchName& name);
  void send_batch(const BatchName& name, std::uint64_t step, Outbox& out);
  /// The body of a message that was sent before.
  Block recompute_body(const wire::Header& header);
  void send_marker(const wire::Header& header, Outbox& out) const;
  void send_drain(Outbox& out);
  void send_snapshot(bool final, Outbox& out);
  void send_end(Outbox& out);

  SourcePlan plan_;
  std::string data_sha256_;
  std::mutex batches_mutex_;  // recompute_body() is called from other threads
  Batches batches_;
  Matrix teacher_;  // (outputs × inputs)
  Position done_;
  int train_index_ = 0;     // next training batch of the current epoch
  int evaluate_index_ = 0;  // next evaluation batch
  bool begun_ = false;
  bool finished_ = false;
  bool checkpoint_due_ = false;
  bool drained_ = true;  // no training batch has been sent since the last Drain
};

}  // namespace lateral
