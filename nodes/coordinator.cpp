// Start, progress, results and snapshots of a run.
#include "nodes/coordinator.hpp"

#include <algorithm>
#include <limits>

#include "core/check.hpp"
#include "nodes/failure.hpp"
#include "transport/error.hpp"

namespace lateral {
namespace {

double seconds_between(std::chrono::steady_clock::time_point a,
                       std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

double mean_loss(const wire::Sums& sums) {
  return sums.samples() > 0 ? sums.loss() / static_cast<double>(sums.samples()) : 0;
}
}  // namespace

double Coordinator::accuracy(const wire::Sums& sums) const {
  if (experiment_.target != Target::label) return std::numeric_limits<double>::quiet_NaN();
  return sums.samples() > 0
             ? static_cast<double>(sums.correct()) / static_cast<double>(sums.samples())
             : 0;
}

Coordinator::Coordinator(const Experiment& experiment, const RunPlan& plan, Progress& progress)
    : experiment_{experiment}, plan_{plan}, progress_{progress}, nodes_{network_nodes(experiment)} {
  for (const CheckpointTensor& tensor : plan.start.tensors) {
    const auto& layers = experiment.layers;
    if (std::none_of(layers.begin(), layers.end(),
                     [&](const LayerSpec& l) { return l.name == tensor.layer; }))
      throw UserError("checkpoint: /layers/" + tensor.layer + "/" + tensor.name +
                      " is for a layer that this network does not have");
  }
  last_step_number_ = plan.resumed ? plan.start.step : 0;
}

void Coordinator::handle(const std::string& node, Message message, Outbox& out) {
  const wire::Header& header = message.header;
  switch (header.content_case()) {
    case wire::Header::kListening:
      addresses_[node] = header.listening().address();
      if (addresses_.size() == nodes_.size()) assign(out);
      return;
    case wire::Header::kPrepared:
      prepared_.insert(node);
      if (prepared_.size() < nodes_.size()) return;
      for (const NodeSpec& spec : nodes_) {
        Message connect;
        connect.header.mutable_connect();
        out.send(spec.name, std::move(connect));
      }
      return;
    case wire::Header::kReady:
      if (node == source_name) data_ = header.ready();
      ready_.insert(node);
      if (ready_.size() < nodes_.size()) return;
      if (plan_.directory) open_tables();
      for (const NodeSpec& spec : nodes_) {
        Message begin;
        begin.header.mutable_begin();
        out.send(spec.name, std::move(begin));
      }
      began_ = epoch_began_ = last_step_ = Clock::now();
      if (plan_.resumed) epoch_sums_ = plan_.start.train;
      if (!plan_.evaluate_only)
        progress_.note(std::to_string(data_.train_samples()) + " training samples, " +
                       std::to_string(data_.evaluate_samples()) + " to evaluate; " +
                       std::to_string(data_.train_steps_per_epoch()) + " steps an epoch");
      progress_.begin(data_.train_steps_per_epoch(), last_step_number_);
      return;
    case wire::Header::kProgress:
      return on_progress(header.progress());
    case wire::Header::kEpochResult:
      return on_epoch_result(header.epoch_result());
    case wire::Header::kProbe:
      if (probes_)
        probes_->add({header.probe().step(), header.probe().epoch(), node, header.probe().probe(),
                      header.probe().value()});
      return;
    case wire::Header::kRecorded:
      if (recording_) recording_->append(node, message);
      return;
    case wire::Header::kTensor:
      return on_tensor(node, std::move(message));
    case wire::Header::kSnapshotDone:
      return on_snapshot_done(node, header.snapshot_done());
    case wire::Header::kFinished:
      finished_[node] = header.finished();
      return;
    default:
      throw_transport(TransportError::unexpected_message, "coordinator, from " + node);
  }
}

void Coordinator::open_tables() {
  const RunDirectory& directory = *plan_.directory;
  std::vector<std::string> layers;
  for (const LayerSpec& layer : experiment_.layers) layers.push_back(layer.name);
  // The data may hold more than their format promises.
  check_recording_size(experiment_, data_.train_steps_per_epoch(), directory.path().string());
  write_atomically(directory.experiment(), experiment_.text);
  metrics_.emplace(directory.metrics(), plan_.resumed ? plan_.start.epoch : 0);
  probes_.emplace(directory.probes(), plan_.resumed ? plan_.start.step : 0, layers);
  if (experiment_.records.empty()) return;
  recording_.emplace(directory.recording(), experiment_,
                     static_cast<std::uint64_t>(experiment_.epochs) * data_.train_steps_per_epoch(),
                     plan_.resumed ? std::optional(plan_.start.step) : std::nullopt);
}

void Coordinator::assign(Outbox& out) {
  const auto links = network_links(experiment_);
  for (const NodeSpec& spec : nodes_) {
    Message message;
    wire::Assignment& assignment = *message.header.mutable_assignment();
    assignment.set_experiment(experiment_.text);
    if (spec.name == source_name) assignment.set_data_directory(plan_.data_directory);
    for (const auto& [first, second] : links) {
      if (first != spec.name && second != spec.name) continue;
      wire::Peer& peer = *assignment.add_peers();
      peer.set_dial(second == spec.name);
      peer.set_name(second == spec.name ? first : second);
      peer.set_address(addresses_.at(peer.name()));
    }
    std::uint32_t tensors = 0;
    for (const CheckpointTensor& tensor : plan_.start.tensors)
      tensors += tensor.layer == spec.name ? 1 : 0;
    assignment.set_tensors(tensors);
    if (plan_.resumed) {
      assignment.set_first_step(plan_.start.step);
      assignment.set_first_epoch(plan_.start.epoch);
      *assignment.mutable_train() = plan_.start.train;
    }
    assignment.set_evaluate_only(plan_.evaluate_only);
    assignment.set_threads(static_cast<std::uint32_t>(plan_.threads));
    out.send(spec.name, std::move(message));

    for (const CheckpointTensor& tensor : plan_.start.tensors) {
      if (tensor.layer != spec.name) continue;
      Message state;
      state.header.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
      state.header.mutable_tensor()->set_name(tensor.name);
      state.body = Block(tensor.values.size());
      std::copy(tensor.values.values().begin(), tensor.values.values().end(), state.body.data());
      out.send(spec.name, std::move(state));
    }
  }
}

void Coordinator::stop(Outbox& out) {
  Message message;
  message.header.mutable_stop();
  out.send(source_name, std::move(message));
}

double Coordinator::wall_seconds() const {
  return (plan_.resumed ? plan_.start.wall_seconds : 0) +
         (began_ ? seconds_between(*began_, Clock::now()) : 0);
}

void Coordinator::on_progress(const wire::Progress& step) {
  last_step_ = Clock::now();
  last_step_number_ = step.step();
  epoch_sums_.set_loss(epoch_sums_.loss() + step.loss_sum());
  epoch_sums_.set_correct(epoch_sums_.correct() + step.correct());
  epoch_sums_.set_samples(epoch_sums_.samples() + step.samples());
  epoch_samples_here_ += step.samples();
  const double seconds = seconds_between(epoch_began_, last_step_);
  progress_.step(step.step(), step.epoch(), mean_loss(epoch_sums_), accuracy(epoch_sums_),
                 static_cast<double>(epoch_samples_here_) / std::max(seconds, 1e-9));
}

void Coordinator::on_epoch_result(const wire::EpochResult& result) {
  MetricsRow row;
  row.epoch = result.epoch();
  row.train_loss = mean_loss(result.train());
  row.train_accuracy = accuracy(result.train());
  row.test_loss = mean_loss(result.test());
  row.test_accuracy = accuracy(result.test());
  row.wall_seconds = wall_seconds();
  const double seconds = seconds_between(epoch_began_, last_step_);
  row.train_samples_per_second =
      seconds > 0 ? static_cast<double>(epoch_samples_here_) / seconds : 0;
  train_seconds_ += seconds;
  train_samples_ += epoch_samples_here_;
  if (metrics_) metrics_->append(row);
  rows_.push_back(row);
  if (!plan_.evaluate_only) progress_.epoch_done(row);
  epoch_sums_.Clear();
  epoch_samples_here_ = 0;
  epoch_began_ = last_step_ = Clock::now();
}

void Coordinator::on_tensor(const std::string& node, Message message) {
  CheckpointTensor tensor;
  tensor.layer = node;
  tensor.name = message.header.tensor().name();
  tensor.shape.assign(message.header.shape().begin(), message.header.shape().end());
  tensor.values = std::move(message.body);
  open_[node].push_back(std::move(tensor));
}

void Coordinator::on_snapshot_done(const std::string& node, const wire::SnapshotDone& done) {
  parts_[node].push_back({std::move(open_[node]), done});
  open_[node].clear();
  const auto is_there = [](const auto& queue) { return !queue.second.empty(); };
  // Everybody but the source has a part.
  while (parts_.size() == nodes_.size() - 1 &&
         std::all_of(parts_.begin(), parts_.end(), is_there)) {
    std::map<std::string, Part> parts;
    for (auto& [name, queue] : parts_) {
      parts[name] = std::move(queue.front());
      queue.pop_front();
    }
    write_snapshot(std::move(parts));
  }
}

void Coordinator::write_snapshot(std::map<std::string, Part> parts) {
  const wire::SnapshotDone done = parts.at(readout_name).done;
  Checkpoint checkpoint;
  checkpoint.experiment = experiment_.text;
  checkpoint.step = done.step();
  checkpoint.epoch = done.epoch();
  checkpoint.train = done.train();
  checkpoint.wall_seconds = wall_seconds();
  for (const LayerSpec& layer : experiment_.layers) {
    Part& part = parts.at(layer.name);
    LATERAL_CHECK(part.done.step() == done.step());
    for (CheckpointTensor& tensor : part.tensors) checkpoint.tensors.push_back(std::move(tensor));
  }
  snapshot_step_ = done.step();
  if (done.final()) state_sha256_ = lateral::state_sha256(checkpoint.tensors);
  if (probes_) probes_->flush(done.step());
  if (plan_.directory)
    write_checkpoint(plan_.directory->checkpoint(), plan_.directory->previous_checkpoint(),
                     checkpoint);
}

void Coordinator::flush() {
  if (probes_) probes_->flush(std::numeric_limits<std::uint64_t>::max());
}

Summary Coordinator::conclude(const NodeSummary& coordinator) {
  Summary summary;
  summary.name = experiment_.name;
  summary.seed = experiment_.seed;
  summary.product = experiment_.compute.product()->description();
  summary.epochs = metrics_ ? metrics_->rows() : rows_;
  summary.complete = summary.epochs.size() >= static_cast<std::size_t>(experiment_.epochs);
  summary.step = snapshot_step_;
  summary.evaluated_on = experiment_.batches.validation_samples > 0 ? "validation" : "test";
  summary.state_sha256 = state_sha256_;
  summary.wall_seconds = wall_seconds();
  summary.train_samples_per_second =
      train_seconds_ > 0 ? static_cast<double>(train_samples_) / train_seconds_ : 0;
  summary.nodes.push_back(coordinator);
  for (const NodeSpec& spec : nodes_) {
    const wire::Finished& finished = finished_.at(spec.name);
    summary.nodes.push_back({spec.name, spec.role, finished.pid(), finished.peak_rss_bytes(),
                             finished.cpu_seconds(), finished.messages_sent(),
                             finished.bytes_sent()});
  }
  if (plan_.directory) write_atomically(plan_.directory->summary(), to_json(summary));
  return summary;
}

}  // namespace lateral
