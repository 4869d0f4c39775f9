// Loss and accuracy, and the signals that go back.
#include "nodes/process/readout.hpp"

#include <algorithm>
#include <cmath>

#include "nodes/process/convert.hpp"
#include "nodes/base/failure.hpp"
#include "transport/error.hpp"

namespace lateral {
namespace {

/// Samples whose largest value is where the target has it.
std::uint32_t count_correct(ConstMatrixRef y, ConstMatrixRef target) {
  std::uint32_t correct = 0;
  for (Index n = 0; n < y.cols(); ++n) {
    Index best = 0, label = 0;
    y.col(n).maxCoeff(&best);
    target.col(n).maxCoeff(&label);
    if (best == label) ++correct;
  }
  return correct;
}

}  // namespace

ReadoutProcess::ReadoutProcess(const Experiment& experiment, const wire::Sums& train)
    : experiment_{experiment},
      loss_{experiment.make_loss()},
      output_{experiment.layers.back().name},
      outputs_{experiment.outputs},
      train_{train} {}

Next ReadoutProcess::next() const {
  switch (awaiting_) {
    case Awaiting::target:
      return {Next::Kind::receive, source_name};
    case Awaiting::activity:
    case Awaiting::perturbation:
      return {Next::Kind::receive, output_};
    case Awaiting::nothing:
      break;
  }
  return {Next::Kind::finished, {}};
}

void ReadoutProcess::handle(const std::string& peer, Message message, Outbox& out) {
  const wire::Header& header = message.header;
  if (awaiting_ == Awaiting::target) {
    if (header.has_target()) return on_target(peer, message);
    if (header.has_epoch_end()) {
      Message result;
      wire::EpochResult& fields = *result.header.mutable_epoch_result();
      fields.set_epoch(header.epoch_end().epoch());
      *fields.mutable_train() = train_;
      *fields.mutable_test() = test_;
      out.send(coordinator_name, std::move(result));
      train_.Clear();
      test_.Clear();
      return;
    }
    if (header.has_snapshot()) {
      Message part = snapshot_part(header.snapshot());
      *part.header.mutable_snapshot_part()->mutable_train() = train_;
      out.send(coordinator_name, std::move(part));
      return;
    }
    if (header.has_end()) {
      awaiting_ = Awaiting::nothing;
      return;
    }
  }
  if (awaiting_ == Awaiting::activity && header.has_activity() &&
      header.activity().step() == target_.step() && header.activity().pass() == target_.pass() &&
      header.activity().first_sample() == target_.first_sample())
    return on_activity(peer, std::move(message), out);
  if (awaiting_ == Awaiting::perturbation && header.has_perturbation() &&
      header.perturbation().step() == target_.step() &&
      header.perturbation().first_sample() == target_.first_sample())
    return on_perturbation(peer, message, out);
  throw_transport(TransportError::unexpected_message,
                  readout_name + ", from " + peer + " at step " + std::to_string(target_.step()));
}

void ReadoutProcess::on_target(const std::string& peer, const Message& message) {
  target_ = message.header.target();
  awaiting_ = Awaiting::activity;
  if (experiment_.target != Target::label) {
    wanted_ = batch_view(message, peer, outputs_, -1, experiment_.batches.batch_size);
    samples_ = wanted_.cols();
    return;
  }
  if (target_.labels_size() > experiment_.batches.batch_size)
    throw_transport(TransportError::unexpected_message,
                    peer + " sent " + std::to_string(target_.labels_size()) +
                        " labels, expected at most " +
                        std::to_string(experiment_.batches.batch_size));
  const std::vector<std::uint32_t> labels(target_.labels().begin(), target_.labels().end());
  for (const std::uint32_t label : labels)
    if (label >= static_cast<std::uint32_t>(outputs_))
      throw_transport(TransportError::unexpected_message,
                      peer + " sent the label " + std::to_string(label));
  wanted_ = onehot(labels, outputs_);
  samples_ = wanted_.cols();
}

void ReadoutProcess::on_activity(const std::string& peer, Message message, Outbox& out) {
  const Index b = samples_;
  y_ = batch_view(message, peer, outputs_, b, b);
  error_.resize(outputs_, b);
  losses_.resize(static_cast<std::size_t>(samples_));
  loss_->evaluate(y_, wanted_, losses_, error_);
  if (target_.pass() == wire::evaluate) return end_piece(out);
  if (experiment_.signal == Signal::reward) {
    perturbations_ = 0;
    awaiting_ = Awaiting::perturbation;
    return;
  }
  send_error(out);
  send_fisher_error(out);
  send_true_error(out);
  end_piece(out);
}

void ReadoutProcess::on_perturbation(const std::string& peer, const Message& message, Outbox& out) {
  const Index b = samples_;
  const BatchView body = batch_view(message, peer, outputs_ + experiment_.change_rows(), b, b);
  differences_.resize(static_cast<std::size_t>(samples_));
  loss_->difference(y_, body.topRows(outputs_), wanted_, differences_);
  if (experiment_.change_rows() > 0) {
    double units = 0;
    for (const LayerSpec& layer : experiment_.layers)
      units += static_cast<double>(layer.params.units);
    for (Index n = 0; n < b; ++n) {
      const auto change = static_cast<double>(body(outputs_, n));
      double& difference = differences_[static_cast<std::size_t>(n)];
      difference = change > 0 ? units * difference / change : 0;
    }
  }
  if (experiment_.perturbed_pass == PerturbedPass::units_of_one_layer) {
    out.send(experiment_.layers[perturbations_].name, reward());
    if (++perturbations_ < experiment_.layers.size()) return;
  } else {
    broadcast(reward(), out);
  }
  send_fisher_error(out);
  send_true_error(out);
  end_piece(out);
}

Message ReadoutProcess::reward() const {
  const Eigen::Map<const Eigen::RowVectorXd> reward(differences_.data(),
                                                    static_cast<Index>(differences_.size()));
  const Matrix rewards = reward.cast<Scalar>();
  Message message =
      batch_message(rewards, readout_name, "reward at step " + std::to_string(target_.step()));
  message.header.mutable_reward()->set_step(target_.step());
  message.header.mutable_reward()->set_first_sample(target_.first_sample());
  return message;
}

void ReadoutProcess::send_error(Outbox& out) {
  const std::string at = " at step " + std::to_string(target_.step());
  switch (experiment_.signal) {
    case Signal::error: {
      Message message = batch_message(error_, readout_name, "error" + at);
      message.header.mutable_error()->set_step(target_.step());
      message.header.mutable_error()->set_first_sample(target_.first_sample());
      out.send(output_, std::move(message));
      break;
    }
    case Signal::output_error: {
      Message message = batch_message(error_, readout_name, "output error" + at);
      message.header.mutable_output_error()->set_step(target_.step());
      message.header.mutable_output_error()->set_first_sample(target_.first_sample());
      broadcast(message, out);
      break;
    }
    case Signal::reward:
      break;  // on_perturbation()
    case Signal::true_error:
    case Signal::fisher_error:
      break;  // no credit rule asks for them
  }
}

void ReadoutProcess::send_fisher_error(Outbox& out) {
  if (!experiment_.sends_fisher_errors(target_.step())) return;
  const std::string what = "Fisher error at step " + std::to_string(target_.step());
  const auto add = [&](const Matrix& error, std::uint32_t first_sample) {
    Message message = batch_message(error, readout_name, what);
    message.header.mutable_fisher_error()->set_step(target_.step());
    message.header.mutable_fisher_error()->set_first_sample(first_sample);
    fisher_errors_.push_back(std::move(message));
  };
  if (experiment_.fisher_errors == FisherErrors::sampled) {
    Matrix error(outputs_, samples_);
    const auto node = static_cast<std::uint32_t>(experiment_.layers.size() + 1);
    loss_->sample_error(
        y_, RandomStream(experiment_.seed, node, target_.step(), Purpose::fisher_sample),
        static_cast<Index>(target_.first_sample()), error);
    add(error, target_.first_sample());
  }
  // A layer reads all of the signal first.
  if (!is_last_piece()) return;
  if (experiment_.fisher_errors == FisherErrors::basis)
    add(static_cast<Scalar>(std::sqrt(loss_->constant_fisher())) *
            Matrix::Identity(outputs_, outputs_),
        0);
  for (Message& error : fisher_errors_) out.send(output_, std::move(error));
  fisher_errors_.clear();
}

void ReadoutProcess::send_true_error(Outbox& out) {
  if (!experiment_.probes(target_.step()) || !experiment_.compares_gradients()) return;
  // A layer reads all of the signal first.
  Message message =
      batch_message(error_, readout_name, "true error at step " + std::to_string(target_.step()));
  message.header.mutable_true_error()->set_step(target_.step());
  message.header.mutable_true_error()->set_first_sample(target_.first_sample());
  true_errors_.push_back(std::move(message));
  if (!is_last_piece()) return;
  for (Message& true_error : true_errors_) out.send(output_, std::move(true_error));
  true_errors_.clear();
}

bool ReadoutProcess::is_last_piece() const {
  return target_.first_sample() + static_cast<std::size_t>(samples_) >= target_.batch();
}

void ReadoutProcess::broadcast(const Message& message, Outbox& out) const {
  for (const LayerSpec& layer : experiment_.layers) {
    Message copy;
    copy.header = message.header;
    copy.body = Block(message.body.size());
    std::copy(message.body.values().begin(), message.body.values().end(), copy.body.data());
    out.send(layer.name, std::move(copy));
  }
}

void ReadoutProcess::end_piece(Outbox& out) {
  if (target_.first_sample() == 0) loss_sum_ = 0, correct_ = 0;
  for (const double loss : losses_) loss_sum_ += loss;
  if (experiment_.target == Target::label) correct_ += count_correct(y_, wanted_);
  awaiting_ = Awaiting::target;
  if (!is_last_piece()) return;
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
