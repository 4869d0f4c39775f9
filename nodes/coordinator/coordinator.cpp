// Passes each message to the object that it concerns: membership, recovery points, statistics,
// observers.
#include "nodes/coordinator/coordinator.hpp"

#include <fmt/format.h>

#include "nodes/base/digest.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/results/machine_record.hpp"
#include "transport/error.hpp"

namespace lateral {

Coordinator::Coordinator(const Experiment& experiment, const RunPlan& plan, RunObserver& terminal,
                         bool recoverable)
    : experiment_{experiment},
      plan_{plan},
      recoverable_{recoverable},
      observers_{experiment, plan, terminal},
      membership_{experiment},
      checks_{experiment, plan},
      recovery_points_{experiment, plan, membership_, recoverable},
      statistics_{experiment, plan} {}

bool Coordinator::handle(const std::string& node, std::uint32_t generation, Message message,
                         Outbox& out) {
  if (generation != membership_.generation(node)) return false;
  dispatch(node, std::move(message), out);
  if (stop_requested_) stop(out);
  return true;
}

void Coordinator::dispatch(const std::string& node, Message message, Outbox& out) {
  const wire::Header& header = message.header;
  const bool is_report = header.report() > 0;
  if (is_report && !membership_.accept_report(node, header.report())) {
    if (commit_recovery_point(out)) save_snapshots(out);
    return;
  }
  checks_.check(node, membership_.stage(node), header);
  if (is_report && node == readout_name)
    statistics_.readout_advanced(
        [&](const std::string& replacement) { return membership_.has_begun(replacement); });
  switch (header.content_case()) {
    case wire::Header::kListening:
      membership_.registered(node, header.listening().address());
      for (const std::string& name : membership_.assignable()) assign(name, out);
      return;
    case wire::Header::kPrepared:
      return membership_.prepared(node, out);
    case wire::Header::kReady:
      return on_ready(node, header.ready(), out);
    case wire::Header::kProgress:
      return observers_.notify(&RunObserver::step, statistics_.step(header.progress()));
    case wire::Header::kEpochResult:
      observers_.notify(&RunObserver::epoch_done, statistics_.epoch_done(header.epoch_result()));
      return statistics_.check_divergence();
    case wire::Header::kProbe: {
      const wire::Probe& probe = header.probe();
      return observers_.notify(&RunObserver::probe, ProbeRow{probe.step(), probe.epoch(), node,
                                                             probe.probe(), probe.value()});
    }
    case wire::Header::kRecorded:
      return observers_.notify(&RunObserver::recorded, node, message);
    case wire::Header::kSnapshotPart:
      recovery_points_.add_part(node, header.snapshot_part());
      return save_snapshots(out);
    case wire::Header::kTensor:
      recovery_points_.add_tensor(node, std::move(message));
      return save_snapshots(out);
    case wire::Header::kFinished:
      return statistics_.finished(node, header.finished());
    default:
      throw_transport(TransportError::unexpected_message,
                      fmt::format("coordinator, from {}", node));
  }
}

void Coordinator::assign(const std::string& node, Outbox& out) {
  membership_.assigned(node);
  const std::vector<CheckpointTensor> state = recovery_points_.state_of(node);
  Message message;
  wire::Assignment& assignment = *message.header.mutable_assignment();
  assignment.set_experiment(experiment_.text);
  if (node == source_name) {
    assignment.set_data_directory(plan_.data_directory);
    if (plan_.data) {
      wire::Normalization& of_run = *assignment.mutable_normalization();
      of_run.mutable_mean()->Assign(plan_.data->mean.begin(), plan_.data->mean.end());
      of_run.mutable_standard_deviation()->Assign(plan_.data->standard_deviation.begin(),
                                                  plan_.data->standard_deviation.end());
    }
  }
  for (wire::Peer& peer : membership_.peers(node)) *assignment.add_peers() = std::move(peer);
  assignment.set_tensors(static_cast<std::uint32_t>(state.size()));
  recovery_points_.set_start(node, assignment);
  assignment.set_evaluate_only(plan_.evaluate_only);
  assignment.set_threads(static_cast<std::uint32_t>(plan_.threads));
  assignment.set_recoverable(recoverable_);
  out.send(node, std::move(message));

  for (const CheckpointTensor& tensor : state) {
    Message restored;
    restored.header.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
    restored.header.mutable_tensor()->set_name(tensor.name);
    restored.body = tensor.values;
    out.send(node, std::move(restored));
  }
}

void Coordinator::on_ready(const std::string& node, const wire::Ready& ready, Outbox& out) {
  if (node == source_name) {
    check_data(ready);
    data_ = ready;
  }
  membership_.ready(node);
  if (!has_begun()) {
    if (!membership_.all_ready()) return;
    begin(data_);
  }
  membership_.begin(out);
}

void Coordinator::check_data(const wire::Ready& ready) const {
  const std::string found = to_hex(ready.data_sha256());
  if (!data_.data_sha256().empty() && ready.data_sha256() != data_.data_sha256())
    throw UserError(
        fmt::format("the data have changed during the run: their SHA-256 is {}, expected {}", found,
                    to_hex(data_.data_sha256())));
  if (plan_.data && plan_.data->sha256 != found && plan_.resumed && !plan_.accepts_other_data)
    throw UserError(fmt::format(
        "--resume {}: the data are not those of the run: their SHA-256 is {}, expected {}, or "
        "--other-data to continue with these",
        plan_.directory->path().string(), found, plan_.data->sha256));
}

void Coordinator::begin(const wire::Ready& data) {
  if (plan_.directory) {
    // The data may have more samples than their format declares.
    check_recording_size(experiment_, data.train_steps_per_epoch(),
                         plan_.directory->path().string());
    write_atomically(plan_.directory->experiment(), experiment_.text);
    write_atomically(plan_.directory->machine(), to_json(this_machine(experiment_)));
    const wire::Normalization& normalization = data.normalization();
    write_atomically(plan_.directory->data(),
                     to_json(DataRecord{to_hex(data.data_sha256()),
                                        {normalization.mean().begin(), normalization.mean().end()},
                                        {normalization.standard_deviation().begin(),
                                         normalization.standard_deviation().end()}},
                             experiment_));
  }
  observers_.begun({data.train_samples(), data.evaluate_samples(), data.train_steps_per_epoch(),
                    plan_.first_step(), experiment_.evaluated_on()});
  statistics_.begin();
}

void Coordinator::save_snapshots(Outbox& out) {
  while (const wire::Snapshot* snapshot = recovery_points_.next_complete()) {
    observers_.notify(&RunObserver::snapshot, snapshot->step());
    if (observers_.attempt([&] {
          recovery_points_.save_next(statistics_.wall_seconds(), statistics_.first_loss());
        }))
      commit_recovery_point(out);
  }
}

bool Coordinator::commit_recovery_point(Outbox& out) {
  const wire::Snapshot* committed = recovery_points_.commit_recovery_point();
  if (committed == nullptr) return false;
  membership_.reset_replacements();
  for (const NodeSpec& node : membership_.nodes()) {
    Message durable;
    *durable.header.mutable_durable()->mutable_snapshot() = *committed;
    out.send(node.name, std::move(durable));
  }
  return true;
}

Coordinator::Replacement Coordinator::replace(const std::string& node, const std::string& reason) {
  if (!recoverable_) return {};
  if (node == source_name && stop_sent_)
    return {{},
            ", and is not replaced: after the request to stop, the step at which the run ends is "
            "lost with it"};
  if (membership_.replacements(node) >= experiment_.restarts_max)
    return {{},
            fmt::format(", and its replacements since the last checkpoint are used up "
                        "(execution.restarts_max: {})",
                        experiment_.restarts_max)};
  membership_.replace(node, recovery_points_.reports_before(node));
  const std::uint32_t generation = membership_.generation(node);
  observers_.notify(&RunObserver::replaced, statistics_.replaced(node, generation, reason),
                    recovery_points_.committed_step());
  return {generation, ""};
}

void Coordinator::stop(Outbox& out) {
  stop_requested_ = true;
  if (stop_sent_ || !membership_.all_up_to_date()) return;
  stop_sent_ = true;
  checks_.stop_requested();
  Message message;
  message.header.mutable_stop();
  out.send(source_name, std::move(message));
}

Summary Coordinator::conclude(const NodeSummary& coordinator) {
  Summary summary = statistics_.summary(membership_.nodes(), coordinator);
  summary.step = recovery_points_.last_step();
  summary.state_sha256 = recovery_points_.state_sha256();
  summary.data_sha256 = to_hex(data_.data_sha256());
  if (!plan_.directory) return summary;
  // A resumed run that was already complete keeps its summary.
  const std::filesystem::path file = plan_.directory->summary();
  if (!plan_.resumed || statistics_.has_trained() || !std::filesystem::exists(file))
    write_atomically(file, to_json(summary));
  recovery_points_.check_final_saved();
  return summary;
}

}  // namespace lateral
