// A layer's part in training, evaluation and snapshots.
#include "nodes/layer_process.hpp"

#include <sstream>

#include "nodes/convert.hpp"
#include "nodes/failure.hpp"
#include "transport/error.hpp"

namespace lateral {

LayerProcess::LayerProcess(const Experiment& experiment, std::size_t position)
    : experiment_{experiment},
      name_{experiment.layers[position].name},
      is_first_{position == 0},
      upstream_{is_first_ ? source_name : experiment.layers[position - 1].name},
      downstream_{experiment.layers[position].params.is_output
                      ? readout_name
                      : experiment.layers[position + 1].name},
      signal_from_{experiment.signal == Signal::error ? downstream_ : readout_name},
      // Node numbers of the random streams: 0 is the source.
      layer_{experiment.layers[position].params, experiment.seed,
             static_cast<std::uint32_t>(position + 1)} {}

Next LayerProcess::next() const {
  switch (awaiting_) {
    case Awaiting::activity:
    case Awaiting::perturbation:
      return {Next::Kind::receive, upstream_};
    case Awaiting::signal:
      return {Next::Kind::receive, signal_from_};
    case Awaiting::true_error:
      return {Next::Kind::receive, downstream_};
    case Awaiting::nothing:
      break;
  }
  return {Next::Kind::finished, {}};
}

void LayerProcess::handle(const std::string& peer, Message message, Outbox& out) {
  const wire::Header& header = message.header;
  switch (awaiting_) {
    case Awaiting::activity:
      if (header.has_activity()) return on_activity(peer, message, out);
      if (header.has_snapshot()) send_state(header.snapshot(), out);
      if (header.has_end()) awaiting_ = Awaiting::nothing;
      if (header.has_epoch_end() || header.has_snapshot() || header.has_end()) {
        // The readout has them from the source.
        if (downstream_ != readout_name) out.send(downstream_, std::move(message));
        return;
      }
      break;
    case Awaiting::perturbation:
      if (header.has_perturbation() && header.perturbation().step() == step_)
        return on_perturbation(batch_view(message, peer, layer_.params().inputs, batch_, batch_),
                               out);
      break;
    case Awaiting::signal:
      if ((header.has_error() && header.error().step() == step_) ||
          (header.has_output_error() && header.output_error().step() == step_) ||
          (header.has_reward() && header.reward().step() == step_))
        return on_signal(peer, message, out);
      break;
    case Awaiting::true_error:
      if (header.has_true_error() && header.true_error().step() == step_)
        return on_true_error(peer, message, out);
      break;
    case Awaiting::nothing:
      break;
  }
  throw_transport(TransportError::unexpected_message,
                  name_ + ", from " + peer + " after step " + std::to_string(step_));
}

void LayerProcess::on_activity(const std::string& peer, const Message& message, Outbox& out) {
  const BatchView z =
      batch_view(message, peer, layer_.params().inputs, -1, experiment_.batches.batch_size);
  const wire::Activity& activity = message.header.activity();
  if (activity.pass() == wire::evaluate) {
    const Matrix& y = layer_.respond_evaluate(z);
    check_settled(layer_.evaluate_settled(), "evaluating", out);
    Message up = batch_message(y, name_, "activity in evaluation");
    *up.header.mutable_activity() = activity;
    return out.send(downstream_, std::move(up));
  }
  step_ = activity.step();
  epoch_ = activity.epoch();
  batch_ = z.cols();
  const Matrix& y = layer_.respond_train(z, step_);
  check_settled(layer_.report().forward_settled, "activity", out);
  Message up = batch_message(y, name_, "activity at " + at_step());
  *up.header.mutable_activity() = activity;
  out.send(downstream_, std::move(up));

  awaiting_ = Awaiting::signal;
  if (!layer_.credit().perturbs()) return;
  if (is_first_)  // its input is not perturbed
    on_perturbation(Matrix(), out);
  else
    awaiting_ = Awaiting::perturbation;
}

void LayerProcess::on_perturbation(ConstMatrixRef perturbation, Outbox& out) {
  const Matrix& difference = layer_.respond_perturbed(perturbation);
  check_settled(layer_.report().forward_settled, "perturbation", out);
  Message up = batch_message(difference, name_, "perturbation at " + at_step());
  up.header.mutable_perturbation()->set_step(step_);
  out.send(downstream_, std::move(up));
  awaiting_ = Awaiting::signal;
}

void LayerProcess::on_signal(const std::string& peer, const Message& message, Outbox& out) {
  Index rows = layer_.params().units;
  if (experiment_.signal == Signal::output_error) rows = layer_.params().classes;
  if (experiment_.signal == Signal::reward) rows = 1;
  layer_.receive_credit(batch_view(message, peer, rows, batch_, batch_));

  // What the layer below waits for goes out before our own work.
  if (experiment_.signal == Signal::error && !is_first_) {
    const Matrix& below = layer_.pass_back();
    check_settled(layer_.report().backward_settled, "error", out);
    Message down = batch_message(below, name_, "error at " + at_step());
    down.header.mutable_error()->set_step(step_);
    out.send(upstream_, std::move(down));
  }
  if (experiment_.probes(step_) && experiment_.compares_gradients())
    awaiting_ = Awaiting::true_error;
  else
    finish_step(out);
}

void LayerProcess::on_true_error(const std::string& peer, const Message& message, Outbox& out) {
  const double angle =
      layer_.gradient_angle(batch_view(message, peer, layer_.params().units, batch_, batch_));
  if (!is_first_) {
    Message down = batch_message(layer_.pass_back_true(), name_, "true error at " + at_step());
    down.header.mutable_true_error()->set_step(step_);
    out.send(upstream_, std::move(down));
  }
  send_probe("gradient_angle_degrees", angle, out);
  finish_step(out);
}

void LayerProcess::finish_step(Outbox& out) {
  const bool probed = experiment_.probes(step_);
  if (probed) {
    send_probe("correlation_before", layer_.correlation_before(), out);
    send_probe("correlation_after", layer_.correlation_after(), out);
  }
  layer_.measure_update(probed);
  layer_.learn();
  awaiting_ = Awaiting::activity;
  const DenseLayer::StepReport& report = layer_.report();
  if (report.decorrelation.shortened)
    send_probe("shortened_step", 1, out);  // rare and worth knowing: reported whenever it happens
  if (!probed) return;
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

void LayerProcess::send_state(const wire::Snapshot& snapshot, Outbox& out) {
  layer_.visit_state([&](const TensorView& tensor) {
    const Eigen::Map<const Matrix> values(tensor.data, tensor.rows, tensor.cols);
    if (!all_finite(values))
      throw NumericsError(name_ + ": " + tensor.name + " is not finite after step " +
                          std::to_string(snapshot.step()) + ": the network has diverged");
    Message message;
    message.header.mutable_tensor()->set_name(tensor.name);
    message.header.add_shape(static_cast<std::uint32_t>(tensor.rows));
    if (!tensor.is_vector) message.header.add_shape(static_cast<std::uint32_t>(tensor.cols));
    message.body = Block(static_cast<std::size_t>(values.size()));
    // Row-major outside, as HDF5, NumPy and PyTorch have it.
    Eigen::Map<Matrix>(message.body.data(), tensor.cols, tensor.rows) = values.transpose();
    out.send(coordinator_name, std::move(message));
  });
  out.send(coordinator_name, snapshot_done(snapshot));
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
  fields.set_step(step_);
  fields.set_epoch(epoch_);
  fields.set_probe(probe);
  fields.set_value(value);
  out.send(coordinator_name, std::move(message));
}

void LayerProcess::check_settled(const std::optional<Settled>& settled, const std::string& what,
                                 Outbox& out) const {
  if (!settled || settled->converged) return;
  if (!experiment_.stop_when_unsettled)
    return send_probe("unsettled_residual", settled->residual, out);
  std::ostringstream line;
  line << name_ << ": " << what << " at " << at_step() << " has not settled: relative residual "
       << settled->residual << " after " << settled->steps << " steps, expected at most "
       << layer_.params().decorrelator.settle.tolerance
       << " (decorrelation.tolerance, max_steps, step, unsettled)";
  throw NumericsError(line.str());
}

std::string LayerProcess::at_step() const { return "step " + std::to_string(step_); }

}  // namespace lateral
