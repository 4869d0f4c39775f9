// A layer's part in training, evaluation and snapshots.
#include "nodes/process/layer.hpp"

#include <algorithm>
#include <sstream>

#include "nodes/process/convert.hpp"
#include "nodes/base/failure.hpp"
#include "transport/error.hpp"

namespace lateral {
namespace {

/// What the random streams can count.
constexpr std::uint64_t steps_max = std::uint64_t{1} << 56;

ComputeParams with_threads(ComputeParams params, int threads) {
  params.threads = threads;
  return params;
}

DenseLayerParams with_compute(DenseLayerParams params, const Compute& compute) {
  params.decorrelator.compute = &compute;
  return params;
}

}  // namespace

LayerProcess::LayerProcess(const Experiment& experiment, std::size_t position, int threads)
    : experiment_{experiment},
      name_{experiment.layers[position].name},
      position_{static_cast<int>(position)},
      is_first_{position == 0},
      upstream_{is_first_ ? source_name : experiment.layers[position - 1].name},
      downstream_{experiment.layers[position].params.is_output
                      ? readout_name
                      : experiment.layers[position + 1].name},
      signal_from_{experiment.signal == Signal::error ? downstream_ : readout_name},
      // Node numbers of the random streams: 0 is the source.
      compute_{with_threads(experiment.compute, threads)},
      layer_{with_compute(experiment.layers[position].params, compute_), experiment.seed,
             static_cast<std::uint32_t>(position + 1)},
      recorder_{experiment.records, name_} {}

Next LayerProcess::next() const {
  switch (awaiting_) {
    case Awaiting::activity:
    case Awaiting::perturbation:
      return {Next::Kind::receive, upstream_};
    case Awaiting::signal:
      return {Next::Kind::receive, signal_from_};
    case Awaiting::fisher_error:
    case Awaiting::true_error:
      return {Next::Kind::receive, downstream_};
    case Awaiting::own_work:
      return {Next::Kind::produce, {}};
    case Awaiting::nothing:
      break;
  }
  return {Next::Kind::finished, {}};
}

void LayerProcess::handle(const std::string& peer, Message message, Outbox& out) {
  const wire::Header& header = message.header;
  const auto is_due = [this](const auto& content) {
    return content.step() == at_.step && static_cast<Index>(content.first_sample()) == first_;
  };
  switch (awaiting_) {
    case Awaiting::activity:
      return on_upstream(peer, std::move(message), out);
    case Awaiting::perturbation:
      if (header.has_perturbation() && is_due(header.perturbation()))
        return on_perturbation(
            batch_view(message, peer, layer_.params().inputs + experiment_.change_rows(),
                       samples_due(), at_.batch),
            out);
      break;
    case Awaiting::signal:
      if ((header.has_error() && is_due(header.error())) ||
          (header.has_output_error() && is_due(header.output_error())) ||
          (header.has_reward() && is_due(header.reward())))
        return on_signal(peer, message, out);
      break;
    case Awaiting::fisher_error:
      if (header.has_fisher_error() && is_due(header.fisher_error()))
        return on_fisher_error(peer, message, out);
      break;
    case Awaiting::true_error:
      if (header.has_true_error() && is_due(header.true_error()))
        return on_true_error(peer, message, out);
      break;
    case Awaiting::own_work:
    case Awaiting::nothing:
      break;
  }
  throw_unexpected(peer);
}

void LayerProcess::throw_unexpected(const std::string& peer) const {
  throw_transport(TransportError::unexpected_message,
                  name_ + ", from " + peer + " after step " + std::to_string(at_.step));
}

void LayerProcess::on_upstream(const std::string& peer, Message message, Outbox& out) {
  const wire::Header& header = message.header;
  if (header.has_activity()) return on_activity(peer, message, out);
  if (first_ != 0) throw_unexpected(peer);  // in the middle of a batch
  if (header.has_drain()) {
    if (downstream_ != readout_name) out.send(downstream_, std::move(message));
    draining_ = true;
    return choose_next();
  }
  if (!in_flight_.empty() ||
      (!header.has_epoch_end() && !header.has_snapshot() && !header.has_end()))
    throw_unexpected(peer);
  const bool is_snapshot = header.has_snapshot();
  const wire::Snapshot snapshot = header.snapshot();
  if (header.has_end()) awaiting_ = Awaiting::nothing;
  // The readout has them from the source.
  if (downstream_ != readout_name) out.send(downstream_, std::move(message));
  if (!is_snapshot) return;
  // The visit also brings the state up to date; from now on it rests.
  std::size_t tensors = 0;
  layer_.visit_state([&](const TensorView&) { ++tensors; });
  out.send(coordinator_name, snapshot_part(snapshot, tensors));
}

void LayerProcess::on_activity(const std::string& peer, const Message& message, Outbox& out) {
  const BatchView z =
      batch_view(message, peer, layer_.params().inputs, -1, experiment_.batches.batch_size);
  const wire::Activity& activity = message.header.activity();
  if (activity.pass() == wire::evaluate) {
    if (!in_flight_.empty()) throw_unexpected(peer);
    const Matrix& y = layer_.respond_evaluate(z);
    check_finite();
    check_settled(layer_.evaluate_settled(), "evaluating");
    Message up = batch_message(y, name_, "activity in evaluation");
    *up.header.mutable_activity() = activity;
    return out.send(downstream_, std::move(up));
  }
  const auto batch = static_cast<Index>(activity.batch());
  if (first_ == 0) {
    if (batch < 1 || batch > experiment_.batches.batch_size) throw_unexpected(peer);
    if (activity.step() >= steps_max) throw_unexpected(peer);
    // Steps in flight have places by their number.
    if (!in_flight_.empty() && activity.step() != in_flight_.back().step + 1)
      throw_unexpected(peer);
    at_ = {activity.step(), activity.epoch(), batch};
    in_flight_.push_back(at_);
  }
  if (activity.step() != at_.step || batch != at_.batch ||
      static_cast<Index>(activity.first_sample()) != first_ || z.cols() != samples_due())
    throw_unexpected(peer);
  if (first_ == 0) recorder_.begin(at_.step, at_.batch, layer_);
  const Matrix& y = layer_.respond_train(z, {at_.step, first_, at_.batch});
  recorder_.see(z, y, first_);
  check_finite();
  check_settled(layer_.report().forward_settled, "activity");
  Message up = batch_message(y, name_, "activity at " + at_step());
  *up.header.mutable_activity() = activity;
  out.send(downstream_, std::move(up));

  if (!layer_.credit().perturbs()) return end_forward_piece(out);
  perturbations_ = 0;
  if (perturbations_due() == 0)
    on_perturbation(Matrix(), out);
  else
    awaiting_ = Awaiting::perturbation;
}

int LayerProcess::perturbations_due() const {
  if (layer_.credit().perturbed_pass() == PerturbedPass::units_of_one_layer) return position_;
  return is_first_ ? 0 : 1;
}

void LayerProcess::on_perturbation(ConstMatrixRef perturbation, Outbox& out) {
  const Index inputs = perturbation.size() > 0 ? layer_.params().inputs : 0;
  const auto dz = perturbation.topRows(inputs);
  const bool one_at_a_time = layer_.credit().perturbed_pass() == PerturbedPass::units_of_one_layer;
  if (perturbations_due() > 0) ++perturbations_;
  const auto below = perturbation.bottomRows(perturbation.rows() - inputs);
  if (!one_at_a_time) {
    send_perturbation(layer_.respond_perturbed(dz), below, out);
    return end_forward_piece(out);
  }
  if (perturbations_ > 0) send_perturbation(layer_.relay_perturbed(dz), below, out);
  if (perturbations_ < perturbations_due()) return;
  send_perturbation(layer_.respond_perturbed(Matrix()), Matrix(), out);
  end_forward_piece(out);
}

void LayerProcess::send_perturbation(const Matrix& difference, ConstMatrixRef below, Outbox& out) {
  check_settled(layer_.report().forward_settled, "perturbation");
  const std::string what = "perturbation at " + at_step();
  Message up;
  if (experiment_.change_rows() == 0) {
    up = batch_message(difference, name_, what);
  } else {
    Matrix body(difference.rows() + 1, difference.cols());
    body.topRows(difference.rows()) = difference;
    body.bottomRows(1) = layer_.squared_change();
    if (below.size() > 0) body.bottomRows(1) += below;
    up = batch_message(body, name_, what);
  }
  up.header.mutable_perturbation()->set_step(at_.step);
  up.header.mutable_perturbation()->set_first_sample(static_cast<std::uint32_t>(first_));
  out.send(downstream_, std::move(up));
}

void LayerProcess::end_forward_piece(Outbox& out) {
  awaiting_ = Awaiting::activity;
  if (!end_piece()) return;
  recorder_.send(layer_, out);
  if (experiment_.steps_in_flight > 1) {
    layer_.learn_decorrelation();
    check_finite();
  }
  choose_next();
}

void LayerProcess::choose_next() {
  const bool full = static_cast<Index>(in_flight_.size()) == experiment_.steps_in_flight;
  if (in_flight_.empty()) draining_ = false;
  if (full || draining_) {
    at_ = in_flight_.front();
    awaiting_ = Awaiting::signal;
  } else {
    awaiting_ = Awaiting::activity;
  }
}

void LayerProcess::on_signal(const std::string& peer, const Message& message, Outbox& out) {
  Index rows = layer_.params().units;
  if (experiment_.signal == Signal::output_error) rows = layer_.params().classes;
  if (experiment_.signal == Signal::reward) rows = 1;
  const BatchView signal = batch_view(message, peer, rows, samples_due(), at_.batch);
  layer_.about({at_.step, first_, at_.batch});
  layer_.receive_credit(signal);

  // What the layer below waits for goes out before our own work.
  if (experiment_.signal == Signal::error && !is_first_) {
    const Matrix& below = layer_.pass_back();
    check_settled(layer_.report().backward_settled, "error");
    Message down = batch_message(below, name_, "error at " + at_step());
    down.header.mutable_error()->set_step(at_.step);
    down.header.mutable_error()->set_first_sample(static_cast<std::uint32_t>(first_));
    send_back(std::move(down), out);
  }
  if (!end_piece()) return;
  if (experiment_.sends_fisher_errors(at_.step))
    awaiting_ = Awaiting::fisher_error;
  else
    after_fisher_error();
}

void LayerProcess::on_fisher_error(const std::string& peer, const Message& message, Outbox& out) {
  const bool is_basis = experiment_.fisher_errors == FisherErrors::basis;
  const Index columns = is_basis ? experiment_.outputs : samples_due();
  const BatchView error = batch_view(message, peer, layer_.params().units, columns, columns);
  layer_.about({at_.step, first_, at_.batch});
  layer_.receive_fisher_error(error);
  if (!is_first_) {
    Message down = batch_message(layer_.pass_back_fisher(), name_, "Fisher error at " + at_step());
    down.header.mutable_fisher_error()->set_step(at_.step);
    down.header.mutable_fisher_error()->set_first_sample(static_cast<std::uint32_t>(first_));
    send_back(std::move(down), out);
  }
  if (is_basis || end_piece()) after_fisher_error();
}

void LayerProcess::after_fisher_error() {
  awaiting_ = experiment_.probes(at_.step) && experiment_.compares_gradients()
                  ? Awaiting::true_error
                  : Awaiting::own_work;
}

void LayerProcess::on_true_error(const std::string& peer, const Message& message, Outbox& out) {
  const BatchView error =
      batch_view(message, peer, layer_.params().units, samples_due(), at_.batch);
  layer_.about({at_.step, first_, at_.batch});
  layer_.receive_true_error(error);
  if (!is_first_) {
    Message down = batch_message(layer_.pass_back_true(), name_, "true error at " + at_step());
    down.header.mutable_true_error()->set_step(at_.step);
    down.header.mutable_true_error()->set_first_sample(static_cast<std::uint32_t>(first_));
    send_back(std::move(down), out);
  }
  if (!end_piece()) return;
  send_probe("gradient_angle_degrees", layer_.gradient_angle(), out);
  awaiting_ = Awaiting::own_work;
}

Index LayerProcess::samples_due() const {
  return std::min(experiment_.micro_batch(at_.batch), at_.batch - first_);
}

bool LayerProcess::end_piece() {
  first_ += samples_due();
  if (first_ < at_.batch) return false;
  first_ = 0;
  return true;
}

void LayerProcess::send_back(Message message, Outbox& out) {
  if (experiment_.error_leaves_first)
    out.send(upstream_, std::move(message));
  else
    late_.push_back(std::move(message));
}

void LayerProcess::produce(bool, Outbox& out) {
  const bool probed = experiment_.probes(at_.step);
  if (probed)
    for (const auto& [probe, value] : layer_.measures()) send_probe(probe, value, out);
  layer_.measure_update(probed);
  layer_.learn();
  check_finite();
  for (Message& message : late_) out.send(upstream_, std::move(message));
  late_.clear();
  const DenseLayer::StepReport& report = layer_.report();
  // Rare and worth knowing: reported whenever it happens.
  if (report.decorrelation.shortened || report.shortened) send_probe("shortened_step", 1, out);
  if (report.skipped) send_probe("skipped_step", 1, out);
  for (const auto* settled : {&report.forward_settled, &report.backward_settled})
    if (*settled && !(*settled)->converged)
      send_probe("unsettled_residual", (*settled)->residual, out);
  if (probed) send_report(out);
  in_flight_.pop_front();
  choose_next();
}

void LayerProcess::send_report(Outbox& out) const {
  const DenseLayer::StepReport& report = layer_.report();
  send_probe("weight_update_norm", report.weight_update_norm, out);
  send_probe("gain", report.decorrelation.gain, out);
  if (report.forward_settled) {
    send_probe("settle_steps", report.forward_settled->steps, out);
    send_probe("settle_mean_steps", report.forward_settled->mean_steps, out);
    send_probe("settle_residual", report.forward_settled->residual, out);
  }
  if (report.backward_settled) {
    send_probe("error_settle_steps", report.backward_settled->steps, out);
    send_probe("error_settle_residual", report.backward_settled->residual, out);
  }
}

Message LayerProcess::tensor(std::size_t position, const wire::Snapshot& snapshot) {
  Message message;
  std::size_t at = 0;
  layer_.visit_state([&](const TensorView& tensor) {
    if (at++ != position) return;
    const Eigen::Map<const Matrix> values(tensor.data, tensor.rows, tensor.cols);
    if (!all_finite(values))
      throw NumericsError(name_ + ": " + tensor.name + " is not finite after step " +
                          std::to_string(snapshot.step()) + ": the network has diverged");
    message.header.mutable_tensor()->set_name(tensor.name);
    *message.header.mutable_tensor()->mutable_snapshot() = snapshot;
    message.header.add_shape(static_cast<std::uint32_t>(tensor.rows));
    if (!tensor.is_vector) message.header.add_shape(static_cast<std::uint32_t>(tensor.cols));
    message.body = Block(static_cast<std::size_t>(values.size()));
    // Row-major outside, as HDF5, NumPy and PyTorch have it.
    Eigen::Map<Matrix>(message.body.data(), tensor.cols, tensor.rows) = values.transpose();
  });
  return message;
}

bool LayerProcess::state_rests() const {
  return experiment_.steps_in_flight == 1 && !layer_.params().decorrelator.warm_start;
}

void LayerProcess::restore(const std::string& name, Message message) {
  bool known = false;
  std::string names;
  layer_.visit_state([&](const TensorView& tensor) {
    names += (names.empty() ? "" : ", ") + tensor.name;
    if (tensor.name != name) return;
    known = true;
    const auto& shape = message.header.shape();
    const bool right =
        tensor.is_vector ? shape.size() == 1 && shape[0] == tensor.rows
                         : shape.size() == 2 && shape[0] == tensor.rows && shape[1] == tensor.cols;
    if (!right) {
      throw UserError("checkpoint: /layers/" + name_ + "/" + name + " has shape " +
                      shape_text(message.header) + ", expected (" + std::to_string(tensor.rows) +
                      (tensor.is_vector ? "" : ", " + std::to_string(tensor.cols)) + ")");
    }
    const Eigen::Map<const Matrix> values(message.body.data(), tensor.cols, tensor.rows);
    if (!all_finite(values))
      throw UserError("checkpoint: /layers/" + name_ + "/" + name +
                      " holds numbers that are not finite");
    Eigen::Map<Matrix>(tensor.data, tensor.rows, tensor.cols) = values.transpose();
  });
  if (!known)
    throw UserError("checkpoint: /layers/" + name_ + "/" + name +
                    " is not part of this network, expected one of " + names);
}

void LayerProcess::send_probe(const std::string& probe, double value, Outbox& out) const {
  Message message;
  wire::Probe& fields = *message.header.mutable_probe();
  fields.set_step(at_.step);
  fields.set_epoch(at_.epoch);
  fields.set_probe(probe);
  fields.set_value(value);
  out.send(coordinator_name, std::move(message));
}

void LayerProcess::check_finite() const {
  if (const std::optional<Divergence>& diverged = layer_.diverged()) {
    std::ostringstream line;
    line << name_ << ": " << diverged->quantity << " at step " << diverged->step
         << " is not finite (" << diverged->value << ")";
    throw_diverged(line.str());
  }
}

void LayerProcess::check_settled(const std::optional<Settled>& settled,
                                 const std::string& what) const {
  if (!experiment_.stop_when_unsettled || !settled || settled->converged) return;
  std::ostringstream line;
  line << name_ << ": " << what << " at " << at_step() << " has not settled: relative residual "
       << settled->residual << " after " << settled->steps << " steps, expected at most "
       << layer_.params().decorrelator.settle.tolerance
       << " (decorrelation.tolerance, max_steps, step, unsettled)";
  throw NumericsError(line.str());
}

std::string LayerProcess::at_step() const { return "step " + std::to_string(at_.step); }

}  // namespace lateral
