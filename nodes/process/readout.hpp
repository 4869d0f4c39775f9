// ReadoutProcess: the process of the readout, which computes loss, error and reward.
#pragma once

#include <memory>
#include <vector>

#include "core/loss/loss.hpp"
#include "nodes/experiment/plan.hpp"
#include "nodes/process/process.hpp"

namespace lateral {

/// Follows its Protocol: reads, for each micro-batch, the Target from the source, the Activity
/// of the last layer and, under a rule that perturbs, its Perturbations; answers with the credit
/// signal, and after the last micro-batch with the other signals. Markers are sent by the source
/// only.
class ReadoutProcess final : public Process {
 public:
  /// `train`: the sums of an epoch that an earlier session began.
  ReadoutProcess(ReadoutPlan plan, const wire::Sums& train);

  Next next() const override;
  void handle(const std::string& peer, Message message, Outbox& out) override;

 private:
  const Exchange& exchange() const { return plan_.protocol.training.front().exchanges[exchange_]; }
  bool take_marker(const wire::Header& header, Outbox& out);
  void take_target(const std::string& peer, Message message);
  void take_activity(const std::string& peer, Message message, Outbox& out);
  void take_perturbation(const std::string& peer, const Message& message, Outbox& out);
  /// True if the content belongs to the current micro-batch.
  template <class Fields>
  bool is_due(const Fields& fields) const;
  Message new_signal(Signal kind, Index rows, Index columns) const;
  /// Computes the signals of the later stages for this micro-batch; sends them after the last one.
  void answer_later_stages(Outbox& out);
  void end_micro_batch(Outbox& out);
  bool is_last_micro_batch() const;

  ReadoutPlan plan_;
  std::unique_ptr<Loss> loss_;
  std::size_t exchange_ = 0;
  bool has_ended_ = false;
  wire::Sums train_, test_;
  // sums over the received micro-batches of the current batch
  double loss_sum_ = 0;
  std::uint32_t correct_ = 0;
  std::vector<std::vector<Message>>
      later_;  // by stage, until the whole credit signal has been sent
  // the current micro-batch
  wire::Target target_;
  Index samples_ = 0;
  Message output_;          // whose body is y (outputs × samples)
  Matrix expected_output_;  // (outputs × samples)
  std::vector<double> losses_, differences_;
  Block error_;  // ∂loss/∂y (outputs × samples); may have been sent
};

}  // namespace lateral
