// LayerProcess: what one message means to a layer.
#pragma once

#include <deque>
#include <vector>

#include "core/layer/dense.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/process/process.hpp"
#include "nodes/process/recorder.hpp"

namespace lateral {

/// A training step, in the order in which a layer reads:
///   upstream    Activity      → respond, Activity downstream
///   upstream    Perturbation  → Perturbation downstream          (a rule that perturbs: one, but
///                               not for the first layer; or one for each layer below, and then
///                               its own)
///   above       the signal    → receive credit, Error upstream   (from the layer above or the
///                               readout)
///   downstream  FisherError   → FisherError upstream             (steps on which the learning
///                               rule's preconditioner asks for them)
///   downstream  TrueError     → TrueError upstream               (probed steps of rules other than
///                               backpropagation)
/// each of them for all pieces of the batch in turn; then it learns, after everything that others
/// wait for has been sent (lockstep: before). With more than one step in flight, it reads the
/// activity of the steps to come before the signal of the first, until Drain tells that none come.
/// Evaluation batches only pass through. EpochEnd, Snapshot and End follow in the same stream.
class LayerProcess final : public Process {
 public:
  /// `position` counts the layers from 0.  `experiment` must outlive the process.
  LayerProcess(const Experiment& experiment, std::size_t position, int threads = 1);

  Next next() const override;
  void handle(const std::string& peer, Message message, Outbox& out) override;
  /// Learns.
  void produce(bool stop, Outbox& out) override;
  void restore(const std::string& name, Message tensor) override;
  void restored() override { layer_.state_loaded(); }
  /// Throws NumericsError if it is not finite.
  Message tensor(std::size_t position, const wire::Snapshot& snapshot) override;
  bool state_rests() const override;

 private:
  enum class Awaiting {
    activity,
    perturbation,
    signal,
    fisher_error,
    true_error,
    own_work,
    nothing
  };
  struct Step {
    std::uint64_t step, epoch;
    Index batch;
  };

  void on_upstream(const std::string& peer, Message message, Outbox& out);
  void on_activity(const std::string& peer, const Message& message, Outbox& out);
  void on_perturbation(ConstMatrixRef perturbation, Outbox& out);
  /// Of the pass at hand; what units changed by below comes as one more row where the rule asks.
  void send_perturbation(const Matrix& difference, ConstMatrixRef below, Outbox& out);
  /// Perturbations that come from below for a piece.
  int perturbations_due() const;
  void end_forward_piece(Outbox& out);
  /// The activity of one more step, or the signal of the first in flight.
  void choose_next();
  /// Of the piece that begins at first_.
  Index samples_due() const;
  /// True when the piece was the last of its batch.
  bool end_piece();
  /// Now, or in lockstep when the step has been learned.
  void send_back(Message message, Outbox& out);
  void on_signal(const std::string& peer, const Message& message, Outbox& out);
  void on_fisher_error(const std::string& peer, const Message& message, Outbox& out);
  /// Chooses what comes next in the step.
  void after_fisher_error();
  void on_true_error(const std::string& peer, const Message& message, Outbox& out);
  void send_report(Outbox& out) const;
  [[noreturn]] void throw_unexpected(const std::string& peer) const;
  void send_probe(const std::string& probe, double value, Outbox& out) const;
  /// What is not finite ends the run, with the quantity and the step that made it.
  void check_finite() const;
  /// What did not settle ends the run, unless the experiment says that it is only reported.
  void check_settled(const std::optional<Settled>& settled, const std::string& what) const;
  std::string at_step() const;

  const Experiment& experiment_;
  std::string name_;
  int position_;
  bool is_first_;
  std::string upstream_, downstream_, signal_from_;
  Compute compute_;
  DenseLayer layer_;
  Recorder recorder_;
  Awaiting awaiting_ = Awaiting::activity;
  std::deque<Step> in_flight_;  // responded to, not yet learned; the last may be coming in
  Step at_{};                   // the step at hand
  Index first_ = 0;             // sample of its batch that the next piece begins with
  int perturbations_ = 0;       // of the piece at hand that have come
  bool draining_ = false;       // no step is taken in until those in flight are learned
  std::vector<Message> late_;   // errors that lockstep keeps back
};

}  // namespace lateral
