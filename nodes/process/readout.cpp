// Loss, accuracy and the signals to the layers.
#include "nodes/process/readout.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/check.hpp"
#include "core/credit/reward.hpp"
#include "core/loss/accuracy.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/process/convert.hpp"
#include "transport/error.hpp"

namespace lateral {

ReadoutProcess::ReadoutProcess(ReadoutPlan plan, const wire::Sums& train)
    : plan_{std::move(plan)}, loss_{plan_.make_loss()}, train_{train} {
  later_.resize(plan_.protocol.training.size());
}

Next ReadoutProcess::next() const {
  if (has_ended_) return {Next::Kind::finished, {}};
  return {Next::Kind::receive, exchange().reads.front().peer};
}

template <class Fields>
bool ReadoutProcess::is_due(const Fields& fields) const {
  return fields.step() == target_.step() && fields.first_sample() == target_.first_sample();
}

void ReadoutProcess::handle(const std::string& peer, Message message, Outbox& out) {
  const wire::Header& header = message.header;
  if (!has_ended_) switch (exchange().content) {
      case Content::target:
        if (header.has_target()) return take_target(peer, std::move(message));
        if (take_marker(header, out)) return;
        break;
      case Content::activity:
        if (header.has_activity() && is_due(header.activity()) &&
            header.activity().pass() == target_.pass())
          return take_activity(peer, std::move(message), out);
        break;
      case Content::perturbation:
        if (header.has_perturbation() && is_due(header.perturbation()))
          return take_perturbation(peer, message, out);
        break;
      case Content::signal:
      case Content::marker:
        break;
    }
  throw_transport(TransportError::unexpected_message,
                  fmt::format("{}, from {} at step {}", readout_name, peer, target_.step()));
}

bool ReadoutProcess::take_marker(const wire::Header& header, Outbox& out) {
  if (header.has_epoch_end()) {
    Message result;
    wire::EpochResult& fields = *result.header.mutable_epoch_result();
    fields.set_epoch(header.epoch_end().epoch());
    *fields.mutable_train() = train_;
    *fields.mutable_test() = test_;
    out.send(coordinator_name, std::move(result));
    train_.Clear();
    test_.Clear();
  } else if (header.has_snapshot()) {
    Message part = snapshot_part(header.snapshot());
    *part.header.mutable_snapshot_part()->mutable_train() = train_;
    out.send(coordinator_name, std::move(part));
  } else if (header.has_end()) {
    has_ended_ = true;
  } else {
    return false;
  }
  return true;
}

void ReadoutProcess::take_target(const std::string& peer, Message message) {
  const wire::Target& target = message.header.target();
  const int batch_size = plan_.batches.batch_size;
  if (plan_.target != Target::label) {
    expected_output_ = batch_view(message, peer, plan_.outputs, -1, batch_size);
  } else {
    if (target.labels_size() > batch_size)
      throw_transport(TransportError::unexpected_message,
                      fmt::format("{} sent {} labels, expected at most {}", peer,
                                  target.labels_size(), batch_size));
    const std::vector<std::uint32_t> labels(target.labels().begin(), target.labels().end());
    for (const std::uint32_t label : labels)
      if (label >= static_cast<std::uint32_t>(plan_.outputs))
        throw_transport(TransportError::unexpected_message,
                        fmt::format("{} sent the label {}", peer, label));
    expected_output_ = onehot(labels, plan_.outputs);
  }
  target_ = target;
  samples_ = expected_output_.cols();
  ++exchange_;
}

void ReadoutProcess::take_activity(const std::string& peer, Message message, Outbox& out) {
  const BatchView y = batch_view(message, peer, plan_.outputs, samples_, samples_);
  output_ = std::move(message);
  losses_.resize(static_cast<std::size_t>(samples_));
  Message error = new_signal(exchange().signal, plan_.outputs, samples_);
  error_ = error.body;
  loss_->evaluate(y, expected_output_, losses_, body_of(error));
  if (target_.pass() == wire::evaluate) return end_micro_batch(out);
  for (const Transfer& to : exchange().sends) out.send(to.peer, error);
  if (++exchange_ == plan_.protocol.training.front().exchanges.size()) end_micro_batch(out);
}

void ReadoutProcess::take_perturbation(const std::string& peer, const Message& message,
                                       Outbox& out) {
  const Index rows = exchange().reads.front().rows;
  const BatchView body = batch_view(message, peer, rows, samples_, samples_);
  const Eigen::Map<const Matrix> y(output_.body.data(), plan_.outputs, samples_);
  differences_.resize(static_cast<std::size_t>(samples_));
  loss_->difference(y, body.topRows(plan_.outputs), expected_output_, differences_);
  if (plan_.weighs_rewards)
    weigh_rewards(static_cast<double>(plan_.all_units), body.bottomRows(1), differences_);
  Message reward = new_signal(Signal::reward, 1, samples_);
  body_of(reward) =
      Eigen::Map<const Eigen::RowVectorXd>(differences_.data(), samples_).cast<Scalar>();
  for (const Transfer& to : exchange().sends) out.send(to.peer, reward);
  if (++exchange_ == plan_.protocol.training.front().exchanges.size()) end_micro_batch(out);
}

Message ReadoutProcess::new_signal(Signal kind, Index rows, Index columns) const {
  Message message = new_batch(rows, columns);
  wire::Signal& fields = *message.header.mutable_signal();
  fields.set_kind(static_cast<wire::Signal::Kind>(kind));
  fields.set_step(target_.step());
  fields.set_first_sample(target_.first_sample());
  return message;
}

void ReadoutProcess::answer_later_stages(Outbox& out) {
  const std::vector<Stage>& stages = plan_.protocol.training;
  for (std::size_t i = 1; i < stages.size(); ++i) {
    if (!stages[i].is_due(target_.step())) continue;
    const Exchange& exchange = stages[i].exchanges.front();
    if (stages[i].columns == 0) {
      Message signal = new_signal(exchange.signal, plan_.outputs, samples_);
      if (exchange.signal == Signal::fisher_error)
        loss_->sample_error(
            Eigen::Map<const Matrix>(output_.body.data(), plan_.outputs, samples_),
            RandomStream(plan_.seed, plan_.number, target_.step(), Purpose::fisher_sample),
            static_cast<Index>(target_.first_sample()), body_of(signal));
      else
        signal.body = error_;
      later_[i].push_back(std::move(signal));
    }
    // A layer reads all of one kind of signal before the next.
    if (!is_last_micro_batch()) continue;
    if (stages[i].columns > 0) {
      Message basis = new_signal(exchange.signal, plan_.outputs, plan_.outputs);
      basis.header.mutable_signal()->set_first_sample(0);
      fisher_basis(loss_->constant_fisher(), body_of(basis));
      later_[i].push_back(std::move(basis));
    }
    for (Message& signal : later_[i])
      for (const Transfer& to : exchange.sends) out.send(to.peer, signal);
    later_[i].clear();
  }
}

bool ReadoutProcess::is_last_micro_batch() const {
  return target_.first_sample() + static_cast<std::size_t>(samples_) >= target_.batch();
}

void ReadoutProcess::end_micro_batch(Outbox& out) {
  exchange_ = 0;
  if (target_.pass() == wire::train) answer_later_stages(out);
  if (target_.first_sample() == 0) loss_sum_ = 0, correct_ = 0;
  for (const double loss : losses_) loss_sum_ += loss;
  if (plan_.target == Target::label)
    correct_ += count_correct(
        Eigen::Map<const Matrix>(output_.body.data(), plan_.outputs, samples_), expected_output_);
  if (!is_last_micro_batch()) return;
  wire::Sums& sums = target_.pass() == wire::train ? train_ : test_;
  sums.set_loss(sums.loss() + loss_sum_);
  sums.set_correct(sums.correct() + correct_);
  sums.set_samples(sums.samples() + target_.batch());
  if (target_.pass() == wire::evaluate) return;
  Message message;
  wire::Progress& progress = *message.header.mutable_progress();
  progress.set_step(target_.step());
  progress.set_epoch(target_.epoch());
  progress.set_samples(target_.batch());
  progress.set_loss_sum(loss_sum_);
  progress.set_correct(correct_);
  out.send(coordinator_name, std::move(message));
}

}  // namespace lateral
