// The reactions of a layer to its messages in training, evaluation and snapshots.
#include "nodes/process/layer.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "core/check.hpp"
#include "nodes/base/failure.hpp"
#include "transport/error.hpp"

namespace lateral {
namespace {

/// The random streams count steps up to this number.
constexpr std::uint64_t steps_max = std::uint64_t{1} << 56;

ComputeParams with_threads(ComputeParams params, int threads) {
  params.threads = threads;
  return params;
}

LayerPlan with_compute(LayerPlan plan, const Compute& compute) {
  plan.params.decorrelator.compute = &compute;
  return plan;
}

wire::Signal::Kind to_wire(Signal signal) {
  static_assert(static_cast<int>(Signal::fisher_error) == wire::Signal::fisher_error);
  return static_cast<wire::Signal::Kind>(signal);
}

/// Whether two messages of different predecessors have the same position in the stream.
bool have_equal_position(const wire::Header& a, const wire::Header& b) {
  if (a.content_case() != b.content_case()) return false;
  switch (a.content_case()) {
    case wire::Header::kActivity: {
      const wire::Activity &x = a.activity(), &y = b.activity();
      return x.pass() == y.pass() && x.step() == y.step() && x.epoch() == y.epoch() &&
             x.first_sample() == y.first_sample() && x.batch() == y.batch() &&
             a.shape(0) == b.shape(0);
    }
    case wire::Header::kEpochEnd:
      return a.epoch_end().epoch() == b.epoch_end().epoch();
    case wire::Header::kSnapshot:
      return SnapshotId(a.snapshot()) == SnapshotId(b.snapshot());
    default:
      return true;
  }
}

bool is_marker(const wire::Header& header) {
  return header.has_drain() || header.has_epoch_end() || header.has_snapshot() || header.has_end();
}

BatchView view_of(const Matrix& matrix) {
  return {matrix.data(), matrix.rows(), matrix.cols(), Eigen::OuterStride<>(matrix.rows())};
}

/// The sum of one or more batches, in their order; of several it is stored in `buffer`.
BatchView sum_of(const std::vector<BatchView>& batches, Matrix& buffer) {
  if (batches.size() == 1) return batches[0];
  buffer = batches[0];
  for (std::size_t i = 1; i < batches.size(); ++i) buffer += batches[i];
  return view_of(buffer);
}

}  // namespace

LayerProcess::LayerProcess(LayerPlan plan, int threads)
    : compute_{with_threads(plan.compute, threads)},
      plan_{with_compute(std::move(plan), compute_)},
      layer_{plan_.kind().make(plan_.params, plan_.seed, plan_.number)},
      recorder_{plan_.records} {
  check_tensors();
}

Next LayerProcess::next() const {
  if (has_ended_) return {Next::Kind::finished, {}};
  if (learns_next_) return {Next::Kind::produce, {}};
  return {Next::Kind::receive, exchange().reads[received_.size()].peer};
}

// ---- Reading

void LayerProcess::handle(const std::string& peer, Message message, Outbox& out) {
  if (learns_next_ || has_ended_) throw_unexpected(peer);
  if (stage_ == 0 && exchange_ == 0)
    check_stream_message(peer, message);
  else if (is_due(message.header))
    batch_view(message, peer, exchange().reads[received_.size()].rows, samples_due(), -1);
  else
    throw_unexpected(peer);
  received_.push_back(std::move(message));
  if (received_.size() < exchange().reads.size()) return;
  carry_out(out);
  received_.clear();
}

void LayerProcess::check_stream_message(const std::string& peer, const Message& message) {
  const wire::Header& header = message.header;
  if (header.has_activity())
    check_activity(peer, message);
  else if (!is_marker(header) || first_ != 0 || (!header.has_drain() && !in_flight_.empty()))
    throw_unexpected(peer);
  if (!received_.empty() && !have_equal_position(received_.front().header, header))
    throw_unexpected(peer);
}

void LayerProcess::check_activity(const std::string& peer, const Message& message) {
  const BatchView z =
      batch_view(message, peer, connection(peer).rows, -1, plan_.batches.batch_size);
  const wire::Activity& activity = message.header.activity();
  if (activity.pass() == wire::evaluate) {
    if (!in_flight_.empty()) throw_unexpected(peer);
    return;
  }
  const auto batch = static_cast<Index>(activity.batch());
  if (static_cast<Index>(activity.first_sample()) != first_) throw_unexpected(peer);
  if (first_ == 0) {
    if (batch < 1 || batch > plan_.batches.batch_size) throw_unexpected(peer);
    if (activity.step() >= steps_max) throw_unexpected(peer);
    // Steps in flight follow each other.
    if (!in_flight_.empty() && activity.step() != in_flight_.back().state->number + 1)
      throw_unexpected(peer);
  } else if (activity.step() != step().number || batch != step().batch) {
    throw_unexpected(peer);
  }
  if (z.cols() != plan_.batches.micro_batch_at(first_, batch)) throw_unexpected(peer);
}

bool LayerProcess::is_due(const wire::Header& header) {
  const auto is_here = [this](const auto& content) {
    return content.step() == step().number && static_cast<Index>(content.first_sample()) == first_;
  };
  if (exchange().content == Content::perturbation)
    return header.has_perturbation() && is_here(header.perturbation());
  return header.has_signal() && header.signal().kind() == to_wire(exchange().signal) &&
         is_here(header.signal());
}

Index LayerProcess::samples_due() {
  if (stage().columns > 0) return stage().columns;
  return plan_.batches.micro_batch_at(first_, step().batch);
}

const Connection& LayerProcess::connection(const std::string& predecessor) const {
  const auto found =
      std::find_if(plan_.predecessors.begin(), plan_.predecessors.end(),
                   [&](const Connection& connection) { return connection.from == predecessor; });
  LATERAL_CHECK(found != plan_.predecessors.end());
  return *found;
}

LayerProcess::Input LayerProcess::gather(const std::vector<Transfer>& reads, Index samples) {
  const Index inputs = plan_.params.inputs();
  struct InputPart {
    const Connection* connection;
    BatchView values;
  };
  std::vector<InputPart> parts;
  std::vector<BatchView> added;
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const Connection& from = connection(reads[i].peer);
    const Message& message = received_[i];
    // A perturbation may have a row more than the activity.
    const BatchView values(message.body.data(), from.rows, samples,
                           Eigen::OuterStride<>(message.header.shape(1)));
    if (from.input_row) parts.push_back({&from, values});
    if (from.is_added) added.push_back(values);
  }
  const auto concatenate = [&] {
    if (parts.empty()) return no_batch();
    if (parts.size() == 1 && parts[0].connection->rows == inputs) return parts[0].values;
    inputs_.setZero(inputs, samples);  // the change of nodes that send no perturbation is zero
    for (const InputPart& part : parts)
      inputs_.middleRows(*part.connection->input_row, part.connection->rows) = part.values;
    return view_of(inputs_);
  };
  return {concatenate(), added.empty() ? no_batch() : sum_of(added, added_)};
}

// ---- Actions when all messages of an exchange have been read

void LayerProcess::carry_out(Outbox& out) {
  switch (exchange().content) {
    case Content::activity: {
      const wire::Header& header = received_.front().header;
      if (!header.has_activity()) return pass_marker(out);
      if (header.activity().pass() == wire::evaluate) return evaluate(out);
      forward(out);
      break;
    }
    case Content::perturbation:
      perturb(out);
      break;
    case Content::signal:
      receive_signal(out);
      break;
    case Content::target:
    case Content::marker:
      LATERAL_CHECK(false);
  }
  advance(out);
}

void LayerProcess::advance(Outbox& out) {
  received_.clear();
  if (++exchange_ < stage().exchanges.size()) {
    if (exchange().reads.empty()) carry_out(out);
    return;
  }
  exchange_ = 0;
  first_ += stage().columns > 0 ? step().batch : samples_due();
  if (first_ < step().batch) return;
  first_ = 0;
  end_stage(out);
}

void LayerProcess::end_stage(Outbox& out) {
  if (stage_ == 0) {
    recorder_.send(*layer_, step(), out);
    if (plan_.batches.steps_in_flight > 1 && !plan_.is_frozen) {
      snapshot_.clear();
      layer_->learn_decorrelation(step());
      check_finite();
    }
    return choose_next();
  }
  const std::vector<Stage>& stages = plan_.protocol.training;
  do ++stage_;
  while (stage_ < stages.size() && !stages[stage_].is_due(in_flight_.front().state->number));
  if (stage_ < stages.size()) return;
  stage_ = 1;
  learns_next_ = true;
}

void LayerProcess::choose_next() {
  const bool is_full = static_cast<Index>(in_flight_.size()) == plan_.batches.steps_in_flight;
  if (in_flight_.empty()) is_draining_ = false;
  stage_ = is_full || is_draining_ ? 1 : 0;
}

void LayerProcess::pass_marker(Outbox& out) {
  const wire::Header& header = received_.front().header;
  for (const Transfer& to : plan_.protocol.marker.sends) {
    Message marker;
    marker.header = header;
    out.send(to.peer, std::move(marker));
  }
  if (header.has_end()) has_ended_ = true;
  if (header.has_drain()) {
    is_draining_ = true;
    choose_next();
  }
  if (!header.has_snapshot()) return;
  // The visit also brings the state up to date. Another snapshot of the same state may still be
  // read by a thread that copies it.
  if (snapshot_.empty())
    layer_->visit_state([this](const TensorView& tensor) { snapshot_.push_back(tensor); });
  out.send(coordinator_name, snapshot_part(header.snapshot(), snapshot_.size()));
}

void LayerProcess::evaluate(Outbox& out) {
  const Message& first = received_.front();
  const auto samples = static_cast<Index>(first.header.shape(0));
  const Input in = gather(exchange().reads, samples);
  Message up = new_batch(plan_.units, samples);
  *up.header.mutable_activity() = first.header.activity();
  Eigen::Map<Matrix> y = body_of(up);
  layer_->evaluate(in.z, in.added, y);
  check_finite();
  check_settled(layer_->evaluate_settled(), "evaluating");
  for (const Transfer& to : plan_.protocol.evaluation.front().sends) out.send(to.peer, up);
}

void LayerProcess::begin_step(const wire::Activity& activity) {
  if (free_steps_.empty()) free_steps_.push_back(layer_->make_step());
  in_flight_.push_back({std::move(free_steps_.back()), activity.epoch()});
  free_steps_.pop_back();
  layer_->begin(step(), activity.step(), static_cast<Index>(activity.batch()));
  last_step_ = activity.step();
  recorder_.begin(step().number, step().batch, *layer_);
}

void LayerProcess::forward(Outbox& out) {
  const wire::Activity activity = received_.front().header.activity();
  if (first_ == 0) begin_step(activity);
  const Index samples = samples_due();
  const Input in = gather(exchange().reads, samples);
  Message up = new_batch(plan_.units, samples);
  *up.header.mutable_activity() = activity;
  Eigen::Map<Matrix> y = body_of(up);
  layer_->forward(step(), first_, in.z, in.added, y);
  recorder_.add_micro_batch(in.z, y, first_);
  check_finite();
  check_settled(step().report.forward_settled, "activity");
  for (const Transfer& to : exchange().sends) out.send(to.peer, up);
}

void LayerProcess::perturb(Outbox& out) {
  const Index samples = samples_due();
  const Index rows = exchange().sends.front().rows;
  const Index change_rows = rows - plan_.units;
  const Input changed = gather(exchange().reads, samples);
  Message up = new_batch(rows, samples);
  up.header.mutable_perturbation()->set_step(step().number);
  up.header.mutable_perturbation()->set_first_sample(static_cast<std::uint32_t>(first_));
  Eigen::Map<Matrix> body = body_of(up);
  const std::string& perturbed = exchange().perturbed;
  layer_->forward_perturbed(step(), {first_, samples}, changed.z, changed.added,
                            perturbed.empty() || perturbed == plan_.name, body.topRows(plan_.units),
                            body.bottomRows(change_rows));
  if (change_rows > 0)
    for (const Message& message : received_)
      body.bottomRows(1) += BatchView(message.body.data(), message.header.shape(1), samples,
                                      Eigen::OuterStride<>(message.header.shape(1)))
                                .bottomRows(1);
  check_settled(step().report.forward_settled, "perturbation");
  // The squared change counts once: all readers but the first share a body without it.
  Message without_change = up;
  if (change_rows > 0 && exchange().sends.size() > 1) {
    without_change.body = Block(up.body.size());
    body_of(without_change) = body;
    body_of(without_change).bottomRows(1).setZero();
  }
  for (const Transfer& to : exchange().sends)
    out.send(to.peer, &to == &exchange().sends.front() ? up : without_change);
}

void LayerProcess::receive_signal(Outbox& out) {
  const Index samples = samples_due();
  std::vector<BatchView> signals;
  for (std::size_t i = 0; i < received_.size(); ++i) {
    const Index rows = exchange().reads[i].rows;
    signals.emplace_back(received_[i].body.data(), rows, samples, Eigen::OuterStride<>(rows));
  }
  layer_->receive(step(), first_, exchange().signal, sum_of(signals, signal_));
  // Errors are sent before this layer learns, since the layers before it wait for them.
  if (!exchange().sends.empty()) send_errors(out);
}

void LayerProcess::send_errors(Outbox& out) {
  const Signal kind = exchange().signal;
  const Index samples = samples_due();
  const Index inputs = plan_.params.inputs();
  const auto new_error = [&](Index rows) {
    Message message = new_batch(rows, samples);
    message.header.mutable_signal()->set_kind(to_wire(kind));
    message.header.mutable_signal()->set_step(step().number);
    message.header.mutable_signal()->set_first_sample(static_cast<std::uint32_t>(first_));
    return message;
  };
  const std::vector<Transfer>& sends = exchange().sends;
  std::vector<const Connection*> to;
  for (const Transfer& transfer : sends) to.push_back(&connection(transfer.peer));
  const bool to_added = std::any_of(to.begin(), to.end(), [](auto* c) { return c->is_added; });
  const bool to_input =
      std::any_of(to.begin(), to.end(), [](auto* c) { return bool(c->input_row); });
  // If one layer is the whole input, its error is written directly into the message.
  const bool is_whole = std::any_of(to.begin(), to.end(), [&](auto* c) {
    return c->input_row && c->rows == inputs && !c->is_added;
  });
  Message at_added = new_error(to_added ? plan_.units : 0);
  Message at_input = new_error(is_whole ? inputs : 0);
  if (to_input && !is_whole) error_at_input_.resize(inputs, samples);
  Eigen::Map<Matrix> added = body_of(at_added);
  Eigen::Map<Matrix> input =
      is_whole ? body_of(at_input)
               : Eigen::Map<Matrix>(to_input ? error_at_input_.data() : nullptr,
                                    to_input ? inputs : 0, to_input ? samples : 0);
  layer_->send_back(step(), {first_, samples}, kind, input, added);
  if (kind == Signal::error) check_settled(step().report.backward_settled, "error");
  for (const Connection* connection : to) {
    if (!connection->input_row) {
      send_error(connection->from, at_added, out);
    } else if (is_whole) {
      send_error(connection->from, std::move(at_input), out);
    } else {
      Message message = new_error(connection->rows);
      Eigen::Map<Matrix> body = body_of(message);
      body = input.middleRows(*connection->input_row, connection->rows);
      if (connection->is_added) body += added;
      send_error(connection->from, std::move(message), out);
    }
  }
}

void LayerProcess::send_error(const std::string& peer, Message message, Outbox& out) {
  if (plan_.error_leaves_first)
    out.send(peer, std::move(message));
  else
    held_errors_.emplace_back(peer, std::move(message));
}

void LayerProcess::produce(bool, Outbox& out) {
  StepInFlight& at = in_flight_.front();
  const bool is_probed = plan_.probes(at.state->number);
  if (is_probed)
    for (const auto& [probe, value] : layer_->measure(*at.state)) send_probe(probe, value, out);
  snapshot_.clear();
  if (!plan_.is_frozen) layer_->learn(*at.state, is_probed);
  check_finite();
  for (auto& [peer, message] : held_errors_) out.send(peer, std::move(message));
  held_errors_.clear();
  const StepReport& report = at.state->report;
  // Rare and important: reported whenever it happens, not only in probed steps.
  if (report.decorrelation.shortened || report.shortened) send_probe("shortened_step", 1, out);
  if (report.skipped) send_probe("skipped_step", 1, out);
  for (const auto* settled : {&report.forward_settled, &report.backward_settled})
    if (*settled && !(*settled)->converged)
      send_probe("unsettled_residual", (*settled)->residual, out);
  if (is_probed) send_report(out);
  free_steps_.push_back(std::move(at.state));
  in_flight_.pop_front();
  learns_next_ = false;
  choose_next();
}

void LayerProcess::send_report(Outbox& out) {
  const StepReport& report = in_flight_.front().state->report;
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

void LayerProcess::send_probe(const std::string& probe, double value, Outbox& out) {
  Message message;
  wire::Probe& fields = *message.header.mutable_probe();
  fields.set_step(in_flight_.front().state->number);
  fields.set_epoch(in_flight_.front().epoch);
  fields.set_probe(probe);
  fields.set_value(value);
  out.send(coordinator_name, std::move(message));
}

// ---- State

void LayerProcess::check_tensors() {
  const std::vector<TensorSpec> declared = plan_.kind().tensors(plan_.params);
  std::set<std::string> names;
  std::size_t count = 0;
  const auto refuse = [&](const std::string& what) {
    throw std::logic_error(fmt::format(
        "layer '{}': its kind declares other tensors than it visits: {}", plan_.name, what));
  };
  layer_->visit_state([&](const TensorView& tensor) {
    const TensorSpec visited = spec_of(tensor);
    if (!names.insert(tensor.name).second) refuse(fmt::format("'{}' twice", tensor.name));
    if (count >= declared.size() || declared[count] != visited)
      refuse(fmt::format("'{}' ({}) is visited as tensor {}", visited.name,
                         fmt::join(visited.shape, ", "), count + 1));
    ++count;
  });
  if (count < declared.size()) refuse(fmt::format("'{}' is not visited", declared[count].name));
}

Message LayerProcess::tensor(std::size_t position, const wire::Snapshot& snapshot) {
  Message message;
  LATERAL_CHECK(position < snapshot_.size());
  const TensorView& tensor = snapshot_[position];
  const Eigen::Map<const Matrix> values(tensor.data, tensor.rows, tensor.cols);
  if (!all_finite(values))
    throw NumericsError(fmt::format("{}: {} is not finite after step {}: the network has diverged",
                                    plan_.name, tensor.name, snapshot.step()));
  message.header.mutable_tensor()->set_name(tensor.name);
  *message.header.mutable_tensor()->mutable_snapshot() = snapshot;
  for (const Index extent : spec_of(tensor).shape)
    message.header.add_shape(static_cast<std::uint32_t>(extent));
  message.body = Block(static_cast<std::size_t>(values.size()));
  // Row-major in messages, as in HDF5, NumPy and PyTorch.
  Eigen::Map<Matrix>(message.body.data(), tensor.cols, tensor.rows) = values.transpose();
  return message;
}

bool LayerProcess::handle_keeps_state() const {
  return plan_.batches.steps_in_flight == 1 && !plan_.params.decorrelator.warm_start;
}

void LayerProcess::restore(const std::string& name, Message message) {
  if (to_restore_.empty())
    layer_->visit_state(
        [this](const TensorView& tensor) { to_restore_.emplace(tensor.name, tensor); });
  const std::string path = fmt::format("checkpoint: /layers/{}/{}", plan_.name, name);
  const auto found = to_restore_.find(name);
  if (found == to_restore_.end()) {
    std::string names;
    for (const TensorSpec& tensor : plan_.kind().tensors(plan_.params))
      names += (names.empty() ? "" : ", ") + tensor.name;
    throw UserError(fmt::format("{} is not part of this network, expected one of {}", path, names));
  }
  const TensorView& tensor = found->second;
  const std::vector<Index> expected = spec_of(tensor).shape;
  const auto& shape = message.header.shape();
  if (!std::equal(shape.begin(), shape.end(), expected.begin(), expected.end()))
    throw UserError(fmt::format("{} has shape {}, expected ({})", path, shape_text(message.header),
                                fmt::join(expected, ", ")));
  const Eigen::Map<const Matrix> values(message.body.data(), tensor.cols, tensor.rows);
  if (!all_finite(values))
    throw UserError(fmt::format("{} contains numbers that are not finite", path));
  Eigen::Map<Matrix>(tensor.data, tensor.rows, tensor.cols) = values.transpose();
  restored_.insert(name);
}

void LayerProcess::restored() {
  if (!restored_.empty()) {
    MissingTensors missing;
    layer_->visit_state([&](const TensorView& tensor) {
      if (!restored_.contains(tensor.name)) missing.insert(tensor.name);
    });
    if (!missing.empty()) layer_->derive_missing(missing);
  }
  to_restore_.clear();
  snapshot_.clear();
  layer_->state_loaded();
}

// ---- Refusals

void LayerProcess::throw_unexpected(const std::string& peer) {
  throw_transport(TransportError::unexpected_message,
                  fmt::format("{}, from {} after step {}", plan_.name, peer, last_step_));
}

void LayerProcess::check_finite() const {
  if (const std::optional<Divergence>& diverged = layer_->diverged())
    throw_diverged(fmt::format("{}: {} at step {} is not finite ({:g})", plan_.name,
                               diverged->quantity, diverged->step, diverged->value));
}

void LayerProcess::check_settled(const std::optional<Settled>& settled, const std::string& what) {
  if (!plan_.stop_when_unsettled || !settled || settled->converged) return;
  throw NumericsError(fmt::format(
      "{}: {} at step {} has not settled: relative residual {:g} after {} steps, expected at most "
      "{:g} (decorrelation.tolerance, max_steps, step, unsettled)",
      plan_.name, what, in_flight_.empty() ? last_step_ : step().number, settled->residual,
      settled->steps, plan_.params.decorrelator.settle.tolerance));
}

}  // namespace lateral
