// LayerProcess: what one message means to a layer.
#pragma once

#include "core/layer/dense.hpp"
#include "nodes/experiment.hpp"
#include "nodes/process.hpp"

namespace lateral {

/// A training step, in the order in which a layer reads:
///   upstream    Activity      → respond, Activity downstream
///   upstream    Perturbation  → Perturbation downstream          (a rule that perturbs; not the
///   first layer) above       the signal    → receive credit, Error upstream   (from the layer
///   above or the readout) downstream  TrueError     → compare, TrueError upstream      (probed
///   steps of rules other than backpropagation) and then learns, after everything that others wait
///   for has been sent.
/// Evaluation batches only pass through. EpochEnd, Snapshot and End follow in the same stream.
class LayerProcess final : public Process {
 public:
  /// `position` counts the layers from 0.  `experiment` must outlive the process.
  LayerProcess(const Experiment& experiment, std::size_t position);

  Next next() const override;
  void handle(const std::string& peer, Message message, Outbox& out) override;
  void restore(const std::string& name, Message tensor) override;
  void restored() override { layer_.state_loaded(); }

 private:
  enum class Awaiting { activity, perturbation, signal, true_error, nothing };

  void on_activity(const std::string& peer, const Message& message, Outbox& out);
  void on_perturbation(ConstMatrixRef perturbation, Outbox& out);
  void on_signal(const std::string& peer, const Message& message, Outbox& out);
  void on_true_error(const std::string& peer, const Message& message, Outbox& out);
  void finish_step(Outbox& out);
  void send_state(const wire::Snapshot& snapshot, Outbox& out);
  void send_probe(const std::string& probe, double value, Outbox& out) const;
  /// What did not settle ends the run or is reported, as the experiment says.
  void check_settled(const std::optional<Settled>& settled, const std::string& what,
                     Outbox& out) const;
  std::string at_step() const;

  const Experiment& experiment_;
  std::string name_;
  bool is_first_;
  std::string upstream_, downstream_, signal_from_;
  DenseLayer layer_;
  Awaiting awaiting_ = Awaiting::activity;
  std::uint64_t step_ = 0;
  std::uint64_t epoch_ = 0;
  Index batch_ = 0;  // samples of the step at hand
};

}  // namespace lateral
