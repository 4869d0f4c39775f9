// LayerProcess: the process of a layer node.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "core/layer/layer.hpp"
#include "nodes/experiment/plan.hpp"
#include "nodes/process/convert.hpp"
#include "nodes/process/process.hpp"
#include "nodes/process/recorder.hpp"

namespace lateral {

/// Follows its Protocol: receives batches, one micro-batch after the other (activity,
/// perturbations), as many as may be in flight; then, for the first of them, the signals of each
/// later stage; then learns, after the errors have been sent (in lockstep: before). After Drain no
/// batch follows until those in flight have been learned. Evaluation batches only pass forward.
/// EpochEnd, Snapshot and End are part of the same stream, one from each predecessor.
class LayerProcess final : public Process {
 public:
  explicit LayerProcess(LayerPlan plan, int threads = 1);

  Next next() const override;
  void handle(const std::string& peer, Message message, Outbox& out) override;
  /// Learns.
  void produce(bool stop, Outbox& out) override;
  void restore(const std::string& name, Message tensor) override;
  void restored() override;
  /// Throws NumericsError if it is not finite.
  Message tensor(std::size_t position, const wire::Snapshot& snapshot) override;
  bool handle_keeps_state() const override;

 private:
  /// A training step that has begun and from which the layer has not yet learned.
  struct StepInFlight {
    std::unique_ptr<LayerStep> state;
    std::uint64_t epoch = 0;
  };
  /// The received activities: concatenated inputs, and the sum of those that are added; 0 × 0 if
  /// there are none.
  struct Input {
    BatchView z, added;
  };

  const Stage& stage() const { return plan_.protocol.training[stage_]; }
  const Exchange& exchange() const { return stage().exchanges[exchange_]; }
  /// The current step: the one that is being received, or the one to which signals belong.
  StepInFlight& at() { return stage_ == 0 ? in_flight_.back() : in_flight_.front(); }
  LayerStep& step() { return *at().state; }
  /// Samples of a message of the current exchange.
  Index samples_due();
  // ---- Reading
  void check_stream_message(const std::string& peer, const Message& message);
  void check_activity(const std::string& peer, const Message& message);
  void begin_step(const wire::Activity& activity);
  bool is_due(const wire::Header& header);
  const Connection& connection(const std::string& predecessor) const;
  Input gather(const std::vector<Transfer>& reads, Index samples);

  // ---- Actions when all messages of an exchange have been read
  void carry_out(Outbox& out);
  void pass_marker(Outbox& out);
  void evaluate(Outbox& out);
  void forward(Outbox& out);
  void perturb(Outbox& out);
  void receive_signal(Outbox& out);
  void send_errors(Outbox& out);
  void send_error(const std::string& peer, Message message, Outbox& out);
  /// Continues with the next exchange, micro-batch or stage.
  void advance(Outbox& out);
  void end_stage(Outbox& out);
  /// Chooses the stage: the activity of one more step, or the signal of the first in flight.
  void choose_next();

  void send_report(Outbox& out);
  void send_probe(const std::string& probe, double value, Outbox& out);
  /// Throws std::logic_error if the layer visits other tensors than its kind declares.
  void check_tensors();
  [[noreturn]] void throw_unexpected(const std::string& peer);
  /// Throws NumericsError if a quantity is not finite, naming it and its step.
  void check_finite() const;
  /// Throws NumericsError if the dynamics have not settled, unless the experiment only reports
  /// that.
  void check_settled(const std::optional<Settled>& settled, const std::string& what);

  Compute compute_;
  LayerPlan plan_;
  std::unique_ptr<Layer> layer_;
  Recorder recorder_;
  // Position in the protocol.
  std::size_t stage_ = 0, exchange_ = 0;
  Index first_ = 0;                // first sample of the current micro-batch
  std::vector<Message> received_;  // of the current exchange
  bool learns_next_ = false, has_ended_ = false;
  std::deque<StepInFlight> in_flight_;
  std::vector<std::unique_ptr<LayerStep>> free_steps_;
  std::uint64_t last_step_ = 0;
  bool is_draining_ = false;  // no step begins until those in flight are learned
  std::vector<std::pair<std::string, Message>>
      held_errors_;  // in lockstep, until the layer has learned
  // Buffers, used if there are several predecessors or successors.
  Matrix inputs_, added_, signal_, error_at_input_;
  std::vector<TensorView> snapshot_;              // of the state since it last changed; or empty
  std::set<std::string> restored_;                // names of tensors that were loaded
  std::map<std::string, TensorView> to_restore_;  // by name, while the state is restored
};

}  // namespace lateral
