// ReadoutProcess: what one message means to the readout, where loss, error and reward are made.
#pragma once

#include <memory>
#include <vector>

#include "nodes/experiment/experiment.hpp"
#include "nodes/process/process.hpp"

namespace lateral {

/// Reads, for each batch: the Target from the source, the Activity from the last layer and, under a
/// rule that perturbs, the Perturbation or one for each layer. Markers come from the source alone.
class ReadoutProcess final : public Process {
 public:
  /// `train` are the sums of an epoch that was begun before.  `experiment` must outlive the
  /// process.
  ReadoutProcess(const Experiment& experiment, const wire::Sums& train);

  Next next() const override;
  void handle(const std::string& peer, Message message, Outbox& out) override;

 private:
  enum class Awaiting { target, activity, perturbation, nothing };

  void on_target(const std::string& peer, const Message& message);
  void on_activity(const std::string& peer, Message message, Outbox& out);
  void on_perturbation(const std::string& peer, const Message& message, Outbox& out);
  /// The credit signal of the piece.
  void send_error(Outbox& out);
  /// Kept until all of the signal has been sent; each on the steps that ask for it.
  void send_fisher_error(Outbox& out);
  void send_true_error(Outbox& out);
  Message reward() const;
  /// Sends a copy of the body to every layer.
  void broadcast(const Message& message, Outbox& out) const;
  bool is_last_piece() const;
  void end_piece(Outbox& out);

  const Experiment& experiment_;
  std::unique_ptr<Loss> loss_;
  std::string output_;  // the last layer
  Index outputs_;
  Awaiting awaiting_ = Awaiting::target;
  wire::Sums train_, test_;
  // the batch at hand, as far as its pieces have come
  double loss_sum_ = 0;
  std::uint32_t correct_ = 0;
  std::vector<Message> fisher_errors_, true_errors_;
  // the piece at hand
  wire::Target target_;
  Index samples_ = 0;
  Matrix y_, wanted_, error_;  // (outputs × samples)
  std::vector<double> losses_, differences_;
  std::size_t perturbations_ = 0;  // of the piece that have come
};

}  // namespace lateral
