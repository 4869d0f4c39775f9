// LayerProcess: what one message means to a layer.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "core/layer/layer.hpp"
#include "nodes/experiment/plan.hpp"
#include "nodes/process/convert.hpp"
#include "nodes/process/process.hpp"
#include "nodes/process/recorder.hpp"

namespace lateral {

/// Follows its Protocol: takes batches in, piece by piece (activity, perturbations), as many as may
/// be in flight; then, for the first of them, the signals of each later stage; then learns, after
/// everything that others wait for has been sent (lockstep: before). Drain says that no batch
/// follows for now. Evaluation batches only pass through. EpochEnd, Snapshot and End follow in the
/// same stream, one from each predecessor.
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
  bool state_rests() const override;

 private:
  /// A training step that the layer has begun and not yet learned.
  struct StepInFlight {
    std::unique_ptr<LayerStep> state;
    std::uint64_t epoch = 0;
  };
  /// What has come from below: concatenated inputs, and the sum of what is added; 0 × 0 where
  /// nothing has come.
  struct Input {
    BatchView z, added;
  };

  const Stage& stage() const { return plan_.protocol.training[stage_]; }
  const Exchange& exchange() const { return stage().exchanges[exchange_]; }
  /// The step at hand: the one that comes in, or the one that signals are for.
  StepInFlight& at() { return stage_ == 0 ? in_flight_.back() : in_flight_.front(); }
  LayerStep& step() { return *at().state; }
  /// Samples of a message of the exchange at hand.
  Index samples_due();
  // ---- Reading
  void check_stream_message(const std::string& peer, const Message& message);
  void check_activity(const std::string& peer, const Message& message);
  void begin_step(const wire::Activity& activity);
  bool is_due(const wire::Header& header);
  const Connection& connection(const std::string& predecessor) const;
  Input gather(const std::vector<Transfer>& reads, Index samples);

  // ---- What follows when all of an exchange has been read
  void carry_out(Outbox& out);
  void pass_marker(Outbox& out);
  void evaluate(Outbox& out);
  void forward(Outbox& out);
  void perturb(Outbox& out);
  void receive_signal(Outbox& out);
  void send_errors(Outbox& out);
  void send_error(const std::string& peer, Message message, Outbox& out);
  /// On to the next exchange, piece or stage.
  void advance(Outbox& out);
  void end_stage(Outbox& out);
  /// The activity of one more step, or the signal of the first in flight.
  void choose_next();

  void send_report(Outbox& out);
  void send_probe(const std::string& probe, double value, Outbox& out);
  [[noreturn]] void throw_unexpected(const std::string& peer);
  /// What is not finite ends the run, with the quantity and the step that made it.
  void check_finite() const;
  /// What did not settle ends the run, unless the experiment says that it is only reported.
  void check_settled(const std::optional<Settled>& settled, const std::string& what);

  Compute compute_;
  LayerPlan plan_;
  std::unique_ptr<Layer> layer_;
  Recorder recorder_;
  // Where in the protocol the process is.
  std::size_t stage_ = 0, exchange_ = 0;
  Index first_ = 0;                // sample of the batch that the piece at hand begins with
  std::vector<Message> received_;  // of the exchange at hand
  bool learns_next_ = false, has_ended_ = false;
  std::deque<StepInFlight> in_flight_;
  std::vector<std::unique_ptr<LayerStep>> free_steps_;
  std::uint64_t last_step_ = 0;
  bool is_draining_ = false;  // no step is taken in until those in flight are learned
  std::vector<std::pair<std::string, Message>> late_;  // errors that lockstep holds back
  // Scratch, where there are several predecessors or successors.
  Matrix inputs_, added_, signal_, error_at_input_;
  std::vector<TensorView> snapshot_;              // of the state since it last changed; or empty
  std::map<std::string, TensorView> to_restore_;  // by name, while the state is restored
};

}  // namespace lateral
