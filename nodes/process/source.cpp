// The order of the stream.
#include "nodes/process/source.hpp"

#include <cmath>

#include "core/random.hpp"
#include "nodes/process/convert.hpp"
#include "nodes/base/failure.hpp"
#include "transport/error.hpp"

namespace lateral {

SourceProcess::SourceProcess(const Experiment& experiment, DataSet data, const Position& position)
    : experiment_{experiment},
      batches_{std::move(data), experiment.batches},
      first_layer_{experiment.layers.front().name},
      done_{position},
      begun_{position.after_snapshot} {
  const auto steps = static_cast<std::uint64_t>(batches_.train_steps_per_epoch());
  if (position.epoch > position.step || position.step - position.epoch * steps > steps)
    throw UserError("checkpoint: step " + std::to_string(position.step) + " does not fit " +
                    std::to_string(position.epoch) + " epochs of " + std::to_string(steps) +
                    " steps, expected the data that the run was begun with");
  train_index_ = static_cast<int>(position.step - position.epoch * steps);
  if (experiment.target == Target::teacher) {
    const Index inputs = experiment.image.pixels();
    teacher_.resize(experiment.outputs, inputs);
    RandomStream(experiment.seed, 0, 0, Purpose::teacher)
        .fill_normal(teacher_, 1 / std::sqrt(static_cast<double>(inputs)));
  }
  const bool by_batch = experiment.layers.front().params.decorrelator.demean == Demean::batch;
  if (by_batch &&
      batches_.train_samples() % static_cast<std::size_t>(experiment.batches.batch_size) == 1)
    throw UserError(
        "learning.batch_size " + std::to_string(experiment.batches.batch_size) + " leaves one of " +
        std::to_string(batches_.train_samples()) +
        " training samples for the last batch, and decorrelation.demean is batch; expected another "
        "batch size, another data.train_limit, or demean: running");
}

Next SourceProcess::next() const {
  return {finished_ ? Next::Kind::finished : Next::Kind::produce, {}};
}

void SourceProcess::handle(const std::string& peer, Message, Outbox&) {
  throw_transport(TransportError::unexpected_message, source_name + ", from " + peer);
}

void SourceProcess::produce(bool stop, Outbox& out) {
  if (done_.ended) return send_end(out);
  if (stop) {
    if (!drained_) send_drain(out);
    if (!done_.evaluate_only) send_snapshot(true, out);
    return send_end(out);
  }
  if (!begun_) {
    begun_ = true;
    if (!done_.evaluate_only)
      return send_snapshot(false, out);  // so that it can be resumed from the start
  }
  const std::uint64_t epoch = done_.epoch + 1;
  if (!done_.evaluate_only && epoch > static_cast<std::uint64_t>(experiment_.epochs)) {
    send_snapshot(true, out);  // a run that was complete when it was resumed
    return send_end(out);
  }
  if (!done_.evaluate_only && train_index_ < batches_.train_steps_per_epoch()) {
    if (checkpoint_due_) {
      if (!drained_) return send_drain(out);
      checkpoint_due_ = false;
      return send_snapshot(false, out);
    }
    drained_ = false;
    load(wire::train, epoch, train_index_++);
    send_batch(wire::train, ++done_.step, epoch, out);
    const std::uint64_t interval = experiment_.checkpoint_interval;
    checkpoint_due_ = interval > 0 && done_.step % interval == 0;
    return;
  }
  if (!drained_) return send_drain(out);
  if (evaluate_index_ < batches_.evaluate_steps()) {
    load(wire::evaluate, epoch, evaluate_index_++);
    return send_batch(wire::evaluate, static_cast<std::uint64_t>(evaluate_index_), epoch, out);
  }
  wire::Header marker;
  marker.mutable_epoch_end()->set_epoch(epoch);
  send_marker(marker, out);
  if (done_.evaluate_only) return send_end(out);
  train_index_ = 0;
  evaluate_index_ = 0;
  checkpoint_due_ = false;  // the epoch has its own
  done_.epoch = epoch;
  const bool last = epoch == static_cast<std::uint64_t>(experiment_.epochs);
  send_snapshot(last, out);
  if (last) send_end(out);
}

void SourceProcess::describe(wire::Ready& ready) const {
  ready.set_train_samples(batches_.train_samples());
  ready.set_evaluate_samples(batches_.evaluate_samples());
  ready.set_train_steps_per_epoch(static_cast<std::uint64_t>(batches_.train_steps_per_epoch()));
}

void SourceProcess::load(wire::Pass pass, std::uint64_t epoch, int index) {
  const std::lock_guard lock{batches_mutex_};
  if (pass == wire::train)
    batches_.train(epoch, index, values_, labels_);
  else
    batches_.evaluate(index, values_, labels_);
}

Matrix SourceProcess::answers_to(const Matrix& values) const {
  return experiment_.target == Target::teacher ? Matrix(teacher_ * values) : Matrix();
}

Refill SourceProcess::refill() {
  return [this](const wire::Header& header) { return body_again(header); };
}

Block SourceProcess::body_again(const wire::Header& header) {
  const auto values_of = [&](wire::Pass pass, std::uint64_t step, std::uint64_t epoch) {
    Matrix values;
    std::vector<std::uint32_t> labels;
    const std::lock_guard lock{batches_mutex_};
    const auto steps = static_cast<std::uint64_t>(batches_.train_steps_per_epoch());
    if (pass == wire::train)
      batches_.train(epoch, static_cast<int>(step - 1 - (epoch - 1) * steps), values, labels);
    else
      batches_.evaluate(static_cast<int>(step - 1), values, labels);
    return values;
  };
  Matrix values;
  Index first = 0;
  if (header.has_activity()) {
    const wire::Activity& sent = header.activity();
    values = values_of(sent.pass(), sent.step(), sent.epoch());
    first = static_cast<Index>(sent.first_sample());
  } else {
    const wire::Target& sent = header.target();
    values = values_of(sent.pass(), sent.step(), sent.epoch());
    if (experiment_.target == Target::teacher) values = answers_to(values);
    first = static_cast<Index>(sent.first_sample());
  }
  return batch_message(values.middleCols(first, static_cast<Index>(header.shape(0))), source_name,
                       "body made again")
      .body;
}

void SourceProcess::send_batch(wire::Pass pass, std::uint64_t step, std::uint64_t epoch,
                               Outbox& out) {
  const Index batch = values_.cols();
  const Index piece = pass == wire::train ? experiment_.micro_batch(batch) : batch;
  answers_ = answers_to(values_);
  for (Index first = 0; first < batch; first += piece)
    send_piece(pass, step, epoch, first, std::min(piece, batch - first), out);
}

void SourceProcess::send_piece(wire::Pass pass, std::uint64_t step, std::uint64_t epoch,
                               Index first, Index samples, Outbox& out) {
  const auto first_sample = static_cast<std::uint32_t>(first);
  const auto batch = static_cast<std::uint32_t>(values_.cols());
  Message target;
  if (experiment_.target == Target::input)
    target = batch_message(values_.middleCols(first, samples), source_name, "target");
  if (experiment_.target == Target::teacher)
    target = batch_message(answers_.middleCols(first, samples), source_name, "target");
  wire::Target& fields = *target.header.mutable_target();
  fields.set_pass(pass);
  fields.set_step(step);
  fields.set_epoch(epoch);
  if (experiment_.target == Target::label)
    fields.mutable_labels()->Assign(labels_.begin() + first, labels_.begin() + first + samples);
  fields.set_first_sample(first_sample);
  fields.set_batch(batch);
  out.send(readout_name, std::move(target));

  Message activity = batch_message(values_.middleCols(first, samples), source_name, "input");
  wire::Activity& what = *activity.header.mutable_activity();
  what.set_pass(pass);
  what.set_step(step);
  what.set_epoch(epoch);
  what.set_first_sample(first_sample);
  what.set_batch(batch);
  out.send(first_layer_, std::move(activity));
}

void SourceProcess::send_marker(const wire::Header& header, Outbox& out) const {
  for (const std::string& peer : {first_layer_, readout_name}) {
    Message message;
    message.header = header;
    out.send(peer, std::move(message));
  }
}

void SourceProcess::send_drain(Outbox& out) {
  Message message;
  message.header.mutable_drain();
  out.send(first_layer_, std::move(message));
  drained_ = true;
}

void SourceProcess::send_snapshot(bool final, Outbox& out) {
  wire::Header marker;
  marker.mutable_snapshot()->set_step(done_.step);
  marker.mutable_snapshot()->set_epoch(done_.epoch);
  marker.mutable_snapshot()->set_final(final);
  send_marker(marker, out);
  out.send(coordinator_name, snapshot_part(marker.snapshot()));
}

void SourceProcess::send_end(Outbox& out) {
  wire::Header marker;
  marker.mutable_end();
  send_marker(marker, out);
  finished_ = true;
}

}  // namespace lateral
