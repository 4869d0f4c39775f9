// The order of batches and markers.
#include "nodes/process/source.hpp"

#include <fmt/format.h>

#include "core/check.hpp"
#include "core/loss/teacher.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/data/data_digest.hpp"
#include "transport/error.hpp"

namespace lateral {

SourceProcess::SourceProcess(SourcePlan plan, DataSet data, const Position& position)
    : plan_{std::move(plan)},
      data_sha256_{digest_of(data, plan_.class_names)},
      batches_{std::move(data), plan_.data},
      done_{position},
      begun_{position.after_snapshot} {
  const auto steps = static_cast<std::uint64_t>(batches_.train_steps_per_epoch());
  if (position.epoch > position.step || position.step - position.epoch * steps > steps)
    throw UserError(fmt::format(
        "checkpoint: step {} does not fit {} epochs of {} steps, expected the data that "
        "the run was begun with",
        position.step, position.epoch, steps));
  train_index_ = static_cast<int>(position.step - position.epoch * steps);
  if (plan_.target == Target::teacher)
    teacher_ = linear_teacher(plan_.outputs, plan_.inputs,
                              RandomStream(plan_.seed, 0, 0, Purpose::teacher));
  if (plan_.demeans_by_batch) check_last_batch(batches_.train_samples(), plan_.data.batch_size);
}

Next SourceProcess::next() const {
  return {finished_ ? Next::Kind::finished : Next::Kind::produce, {}};
}

void SourceProcess::handle(const std::string& peer, Message, Outbox&) {
  throw_transport(TransportError::unexpected_message,
                  fmt::format("{}, from {}", source_name, peer));
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
      return send_snapshot(false, out);  // so that the run can be resumed from its start
  }
  const std::uint64_t epoch = done_.epoch + 1;
  if (!done_.evaluate_only && epoch > static_cast<std::uint64_t>(plan_.epochs)) {
    send_snapshot(true, out);  // the run was already complete when it was resumed
    return send_end(out);
  }
  if (!done_.evaluate_only && train_index_ < batches_.train_steps_per_epoch()) {
    if (checkpoint_due_) {
      if (!drained_) return send_drain(out);
      checkpoint_due_ = false;
      return send_snapshot(false, out);
    }
    drained_ = false;
    send_batch({wire::train, epoch, train_index_++}, ++done_.step, out);
    const std::uint64_t interval = plan_.checkpoint_interval;
    checkpoint_due_ = interval > 0 && done_.step % interval == 0;
    return;
  }
  if (!drained_) return send_drain(out);
  if (evaluate_index_ < batches_.evaluate_steps()) {
    const int index = evaluate_index_++;
    return send_batch({wire::evaluate, epoch, index}, static_cast<std::uint64_t>(index) + 1, out);
  }
  wire::Header marker;
  marker.mutable_epoch_end()->set_epoch(epoch);
  send_marker(marker, out);
  if (done_.evaluate_only) return send_end(out);
  train_index_ = 0;
  evaluate_index_ = 0;
  checkpoint_due_ = false;  // the snapshot at the end of the epoch replaces it
  done_.epoch = epoch;
  const bool last = epoch == static_cast<std::uint64_t>(plan_.epochs);
  send_snapshot(last, out);
  if (last) send_end(out);
}

void SourceProcess::describe(wire::Ready& ready) const {
  ready.set_train_samples(batches_.train_samples());
  ready.set_evaluate_samples(batches_.evaluate_samples());
  ready.set_train_steps_per_epoch(static_cast<std::uint64_t>(batches_.train_steps_per_epoch()));
  ready.set_data_sha256(data_sha256_);
  wire::Normalization& normalization = *ready.mutable_normalization();
  normalization.mutable_mean()->Assign(batches_.mean().begin(), batches_.mean().end());
  normalization.mutable_standard_deviation()->Assign(batches_.standard_deviation().begin(),
                                                     batches_.standard_deviation().end());
}

SourceProcess::Batch SourceProcess::load(const BatchName& name) {
  const bool is_training = name.pass == wire::train;
  Batch batch;
  batch.samples =
      is_training ? batches_.train_samples(name.index) : batches_.evaluate_samples(name.index);
  batch.values = Block(static_cast<std::size_t>(plan_.inputs * batch.samples));
  Eigen::Map<Matrix> values(batch.values.data(), plan_.inputs, batch.samples);
  {
    const std::lock_guard lock{batches_mutex_};
    if (is_training)
      batches_.train(name.epoch, name.index, values, batch.labels);
    else
      batches_.evaluate(name.index, values, batch.labels);
    if (plan_.target == Target::values) {
      batch.targets = Block(static_cast<std::size_t>(plan_.outputs * batch.samples));
      Eigen::Map<Matrix> targets(batch.targets.data(), plan_.outputs, batch.samples);
      if (is_training)
        batches_.train_targets(name.epoch, name.index, targets);
      else
        batches_.evaluate_targets(name.index, targets);
    }
  }
  if (plan_.target == Target::input) batch.targets = batch.values;
  if (plan_.target == Target::teacher) {
    // For the whole batch: the bits of a matrix product depend on its number of samples.
    batch.targets = Block(static_cast<std::size_t>(plan_.outputs * batch.samples));
    Eigen::Map<Matrix>(batch.targets.data(), plan_.outputs, batch.samples).noalias() =
        teacher_ * values;
  }
  return batch;
}

void SourceProcess::send_batch(const BatchName& name, std::uint64_t step, Outbox& out) {
  const Batch batch = load(name);
  const auto fill = [&](auto& fields, Index first) {
    fields.set_pass(name.pass);
    fields.set_step(step);
    fields.set_epoch(name.epoch);
    fields.set_first_sample(static_cast<std::uint32_t>(first));
    fields.set_batch(static_cast<std::uint32_t>(batch.samples));
  };
  const auto set_body = [&](Message& message, const Block& values, Index rows, Index first,
                            Index samples) {
    message.header.add_shape(static_cast<std::uint32_t>(samples));
    message.header.add_shape(static_cast<std::uint32_t>(rows));
    message.body = values.slice(static_cast<std::size_t>(first * rows),
                                static_cast<std::size_t>(samples * rows));
  };
  const auto make_message = [&](Content content, Index first, Index samples) {
    Message message;
    if (content == Content::activity) {
      fill(*message.header.mutable_activity(), first);
      set_body(message, batch.values, plan_.inputs, first, samples);
      return message;
    }
    LATERAL_CHECK(content == Content::target);
    wire::Target& target = *message.header.mutable_target();
    fill(target, first);
    if (plan_.target == Target::label)
      target.mutable_labels()->Assign(batch.labels.begin() + first,
                                      batch.labels.begin() + first + samples);
    else
      set_body(message, batch.targets, plan_.outputs, first, samples);
    return message;
  };
  const bool is_training = name.pass == wire::train;
  Index samples = 0;
  for (Index first = 0; first < batch.samples; first += samples) {
    samples = is_training ? plan_.batches.micro_batch_at(first, batch.samples) : batch.samples;
    for (const Exchange& exchange :
         is_training ? plan_.protocol.training.front().exchanges : plan_.protocol.evaluation) {
      const Message message = make_message(exchange.content, first, samples);
      for (const Transfer& to : exchange.sends) out.send(to.peer, message);
    }
  }
}

Refill SourceProcess::refill() {
  return [this](const wire::Header& header) { return recompute_body(header); };
}

Block SourceProcess::recompute_body(const wire::Header& header) {
  const auto steps = static_cast<std::uint64_t>(batches_.train_steps_per_epoch());
  const auto recompute = [&](const auto& sent) {
    const std::uint64_t before = sent.pass() == wire::train ? (sent.epoch() - 1) * steps : 0;
    const Batch batch =
        load({sent.pass(), sent.epoch(), static_cast<int>(sent.step() - 1 - before)});
    const Block& whole = header.has_target() ? batch.targets : batch.values;
    const std::size_t rows = header.shape(1);
    return whole.slice(sent.first_sample() * rows, header.shape(0) * rows);
  };
  return header.has_target() ? recompute(header.target()) : recompute(header.activity());
}

void SourceProcess::send_marker(const wire::Header& header, Outbox& out) const {
  for (const Transfer& to : plan_.protocol.marker.sends) {
    Message message;
    message.header = header;
    out.send(to.peer, std::move(message));
  }
}

void SourceProcess::send_drain(Outbox& out) {
  for (const Transfer& to : plan_.protocol.marker.sends) {
    if (to.peer == readout_name) continue;  // it has no steps in flight
    Message message;
    message.header.mutable_drain();
    out.send(to.peer, std::move(message));
  }
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
