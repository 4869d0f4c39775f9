// SourceProcess: gives the network its batches and says when an epoch, a snapshot or the run ends.
#pragma once

#include <mutex>

#include "nodes/data/batches.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/process/process.hpp"

namespace lateral {

/// Where in the run a source begins.
struct Position {
  std::uint64_t step = 0;   ///< training steps done
  std::uint64_t epoch = 0;  ///< epochs done, evaluation included
  bool evaluate_only = false;
  bool after_snapshot = false;  ///< the snapshot of this position has been sent
  bool ended = false;           ///< and it was the final one
};

/// The stream, to the first layer (Activity) and to the readout (Target), markers to both:
///   a Snapshot; for each epoch the training batches, Drain where several are in flight, the
///   evaluation batches, EpochEnd and Snapshot; at last End.
/// Told to stop, it sends a final Snapshot after the batch at hand and ends.
class SourceProcess final : public Process {
 public:
  /// `experiment` must outlive the process.  Throws UserError if data, experiment and position do
  /// not fit, and what Batches throws.
  SourceProcess(const Experiment& experiment, DataSet data, const Position& position);

  Next next() const override;
  void handle(const std::string& peer, Message message, Outbox& out) override;
  void produce(bool stop, Outbox& out) override;
  Refill refill() override;
  void describe(wire::Ready& ready) const override;

 private:
  /// values_ ← batch `index` of a pass, labels_ with it.
  void load(wire::Pass pass, std::uint64_t epoch, int index);
  void send_batch(wire::Pass pass, std::uint64_t step, std::uint64_t epoch, Outbox& out);
  void send_piece(wire::Pass pass, std::uint64_t step, std::uint64_t epoch, Index first,
                  Index samples, Outbox& out);
  /// The values of a target for the inputs of a whole batch: a product's bits depend on how many
  /// samples it takes.
  Matrix answers_to(const Matrix& values) const;
  Block body_again(const wire::Header& header);
  void send_marker(const wire::Header& header, Outbox& out) const;
  void send_drain(Outbox& out);
  void send_snapshot(bool final, Outbox& out);
  void send_end(Outbox& out);

  const Experiment& experiment_;
  std::mutex batches_mutex_;  // which body_again() asks too
  Batches batches_;
  std::string first_layer_;
  Position done_;
  int train_index_ = 0;     // next training batch of the epoch at hand
  int evaluate_index_ = 0;  // next evaluation batch
  bool begun_ = false;
  bool finished_ = false;
  // the batch at hand
  bool checkpoint_due_ = false;
  bool drained_ = true;  // no training batch has been sent since the last Drain
  Matrix values_, teacher_, answers_;
  std::vector<std::uint32_t> labels_;
};

}  // namespace lateral
