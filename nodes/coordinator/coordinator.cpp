// Start, progress, results and snapshots of a run.
#include "nodes/coordinator/coordinator.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/check.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "transport/error.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

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

CheckpointLimits checkpoint_limits(const Experiment& experiment) {
  // A layer keeps at most a score of tensors, and has some to spare here.
  constexpr std::size_t tensors_max = 32;
  const std::size_t largest = experiment.tensor_bytes_max();
  return {largest, tensors_max * experiment.layers.size() * largest};
}

Coordinator::Coordinator(const Experiment& experiment, const RunPlan& plan, Progress& progress,
                         bool recoverable)
    : experiment_{experiment},
      plan_{plan},
      progress_{progress},
      recoverable_{recoverable},
      nodes_{network_nodes(experiment)},
      links_{network_links(experiment)} {
  for (const NodeSpec& node : nodes_) members_[node.name];
  for (const CheckpointTensor& tensor : plan.start.tensors) {
    const auto& layers = experiment.layers;
    if (std::none_of(layers.begin(), layers.end(),
                     [&](const LayerSpec& l) { return l.name == tensor.layer; }))
      throw UserError("checkpoint: /layers/" + tensor.layer + "/" + tensor.name +
                      " is for a layer that this network does not have");
  }
  last_step_number_ = plan.resumed ? plan.start.step : 0;
}

bool Coordinator::handle(const std::string& node, std::uint32_t generation, Message message,
                         Outbox& out) {
  if (generation != members_[node].generation) return false;
  handle(node, std::move(message), out);
  if (stop_wanted_) stop(out);
  return true;
}

void Coordinator::handle(const std::string& node, Message message, Outbox& out) {
  const wire::Header& header = message.header;
  if (header.report() > 0) {
    members_[node].said = header.report();
    if (!is_new(node, header.report())) return draw_line(out);
  }
  switch (header.content_case()) {
    case wire::Header::kListening:
      members_[node].address = header.listening().address();
      members_[node].called = true;
      return assign(out);
    case wire::Header::kPrepared:
      return on_prepared(node, out);
    case wire::Header::kReady:
      return on_ready(node, header.ready(), out);
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
      if (recording_) write([&] { recording_->append(node, message); });
      return;
    case wire::Header::kTensor:
      return on_tensor(node, std::move(message), out);
    case wire::Header::kSnapshotPart:
      return on_snapshot_part(node, header.snapshot_part(), out);
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

bool Coordinator::is_new(const std::string& node, std::uint64_t report) {
  std::uint64_t& reports = members_[node].reports;
  if (report <= reports) return false;
  if (report != reports + 1)
    throw_transport(TransportError::out_of_sequence, "report " + std::to_string(report) + " of " +
                                                         node + " came where " +
                                                         std::to_string(reports + 1) + " was due");
  reports = report;
  // The readout has something new to say when all the others have caught up.
  if (node == readout_name)
    std::erase_if(catching_up_, [&](const Catching& replacement) {
      if (!members_[replacement.node].begun) return false;
      restarts_[replacement.restart].seconds = seconds_between(replacement.lost, Clock::now());
      return true;
    });
  return true;
}

std::optional<std::uint32_t> Coordinator::replace(const std::string& node,
                                                  const std::string& reason) {
  const Member before = members_[node];
  if (!recoverable_ || before.restarts >= experiment_.restarts_max) return std::nullopt;
  if (node == source_name && stop_sent_) return std::nullopt;
  Member& member = members_[node] = {};
  member.generation = before.generation + 1;
  member.restarts = before.restarts + 1;
  member.reports = before.reports;
  member.said = line_ ? line_->reports.at(node) : 0;
  std::erase_if(catching_up_, [&](const Catching& other) { return other.node == node; });
  catching_up_.push_back({restarts_.size(), node, Clock::now()});
  restarts_.push_back({node, member.generation, last_step_number_, reason, std::nullopt});
  progress_.note("node '" + node + "' " + reason + "; it is replaced" +
                 (line_ ? " from step " + std::to_string(line_->snapshot.step()) : ""));
  progress_.replaced(restarts_.size());
  return member.generation;
}

std::string Coordinator::why_not_replaced(const std::string& node) const {
  if (!recoverable_) return "";
  if (node == source_name && stop_sent_)
    return ", and is not replaced: it had been told to stop, and only it knew where";
  if (members_.at(node).restarts < experiment_.restarts_max) return "";
  return ", and its replacements since the last checkpoint are used up (execution.restarts_max: " +
         std::to_string(experiment_.restarts_max) + ")";
}

void Coordinator::dismiss(Outbox& out) const {
  for (const NodeSpec& spec : nodes_) {
    Message leave;
    leave.header.mutable_leave();
    out.send(spec.name, std::move(leave));
  }
}

std::vector<std::string> Coordinator::peers_of(const std::string& node) const {
  std::vector<std::string> peers;
  for (const auto& [first, second] : links_) {
    if (first == node) peers.push_back(second);
    if (second == node) peers.push_back(first);
  }
  return peers;
}

wire::Peer Coordinator::peer_as_seen_by(const std::string& node, const std::string& peer) const {
  const Member& member = members_.at(peer);
  wire::Peer seen;
  seen.set_name(peer);
  seen.set_address(member.address);
  seen.set_generation(member.generation);
  seen.set_dial(std::find(links_.begin(), links_.end(), std::pair(peer, node)) != links_.end());
  return seen;
}

bool Coordinator::all(bool Member::*flag) const {
  return std::all_of(members_.begin(), members_.end(),
                     [flag](const auto& entry) { return entry.second.*flag; });
}

void Coordinator::assign(Outbox& out) {
  const auto has_called = [&](const std::string& name) { return members_.at(name).called; };
  for (const NodeSpec& spec : nodes_) {
    const std::vector<std::string> peers = peers_of(spec.name);
    if (!members_[spec.name].assigned && has_called(spec.name) &&
        std::all_of(peers.begin(), peers.end(), has_called))
      assign(spec.name, out);
  }
}

std::vector<CheckpointTensor> Coordinator::state_of(const std::string& node) const {
  std::vector<CheckpointTensor> state;
  if (!line_) {
    for (const CheckpointTensor& tensor : plan_.start.tensors)
      if (tensor.layer == node) state.push_back(tensor);
    return state;
  }
  if (node == source_name || node == readout_name) return state;
  const RunDirectory& directory = *plan_.directory;
  try {
    const fs::path path = next_line_ ? directory.previous_checkpoint() : directory.checkpoint();
    Checkpoint checkpoint = read_checkpoint(path, checkpoint_limits(experiment_), node);
    if (checkpoint.step != line_->snapshot.step() || checkpoint.epoch != line_->snapshot.epoch())
      throw UserError(path.string() + ": is of step " + std::to_string(checkpoint.step) +
                      ", expected " + std::to_string(line_->snapshot.step()));
    return std::move(checkpoint.tensors);
  } catch (const UserError& damage) {
    throw NetworkError("node '" + node + "' cannot be replaced: " + damage.what());
  }
}

void Coordinator::assign(const std::string& node, Outbox& out) {
  members_[node].assigned = true;
  const std::vector<CheckpointTensor> state = state_of(node);
  Message message;
  wire::Assignment& assignment = *message.header.mutable_assignment();
  assignment.set_experiment(experiment_.text);
  if (node == source_name) assignment.set_data_directory(plan_.data_directory);
  for (const std::string& peer : peers_of(node))
    *assignment.add_peers() = peer_as_seen_by(node, peer);
  assignment.set_tensors(static_cast<std::uint32_t>(state.size()));
  if (line_) {
    const wire::SnapshotPart& part = line_->parts.at(node);
    assignment.set_first_step(part.snapshot().step());
    assignment.set_first_epoch(part.snapshot().epoch());
    assignment.set_ended(part.snapshot().final());
    assignment.set_after_snapshot(true);
    *assignment.mutable_train() = part.train();
    *assignment.mutable_counts() = part.counts();
    assignment.set_reports(line_->reports.at(node));
  } else if (plan_.resumed) {
    assignment.set_first_step(plan_.start.step);
    assignment.set_first_epoch(plan_.start.epoch);
    *assignment.mutable_train() = plan_.start.train;
  }
  assignment.set_evaluate_only(plan_.evaluate_only);
  assignment.set_threads(static_cast<std::uint32_t>(plan_.threads));
  assignment.set_recoverable(recoverable_);
  out.send(node, std::move(message));

  for (const CheckpointTensor& tensor : state) {
    Message piece;
    piece.header.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
    piece.header.mutable_tensor()->set_name(tensor.name);
    piece.body = tensor.values;
    out.send(node, std::move(piece));
  }
}

void Coordinator::on_prepared(const std::string& node, Outbox& out) {
  Member& member = members_[node];
  member.prepared = true;
  // It can be called from now on.
  if (member.generation > 0)
    for (const std::string& peer : peers_of(node)) {
      if (!members_[peer].assigned) continue;
      Message replaced;
      *replaced.header.mutable_replaced()->mutable_peer() = peer_as_seen_by(peer, node);
      out.send(peer, std::move(replaced));
    }
  if (!all(&Member::prepared)) return;
  for (const NodeSpec& spec : nodes_) {
    if (std::exchange(members_[spec.name].connected, true)) continue;
    Message connect;
    connect.header.mutable_connect();
    out.send(spec.name, std::move(connect));
  }
}

void Coordinator::on_ready(const std::string& node, const wire::Ready& ready, Outbox& out) {
  if (node == source_name) data_ = ready;
  members_[node].ready = true;
  if (has_begun()) return begin(out);
  if (!all(&Member::ready)) return;
  if (plan_.directory) open_tables();
  begin(out);
  began_ = epoch_began_ = last_step_ = Clock::now();
  if (plan_.resumed) epoch_sums_ = plan_.start.train;
  if (!plan_.evaluate_only)
    progress_.note(std::to_string(data_.train_samples()) + " training samples, " +
                   std::to_string(data_.evaluate_samples()) + " to evaluate; " +
                   std::to_string(data_.train_steps_per_epoch()) + " steps an epoch");
  progress_.begin(data_.train_steps_per_epoch(), last_step_number_);
}

void Coordinator::begin(Outbox& out) {
  for (const NodeSpec& spec : nodes_) {
    Member& member = members_[spec.name];
    if (!member.ready || std::exchange(member.begun, true)) continue;
    Message message;
    message.header.mutable_begin();
    out.send(spec.name, std::move(message));
  }
}

void Coordinator::stop(Outbox& out) {
  stop_wanted_ = true;
  const auto has_caught_up = [](const auto& entry) {
    const Member& member = entry.second;
    return member.begun && member.said >= member.reports;
  };
  if (stop_sent_ || !std::all_of(members_.begin(), members_.end(), has_caught_up)) return;
  stop_sent_ = true;
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
  if (metrics_) write([&] { metrics_->append(row); });
  rows_.push_back(row);
  if (!plan_.evaluate_only) progress_.epoch_done(row);
  epoch_sums_.Clear();
  epoch_samples_here_ = 0;
  epoch_began_ = last_step_ = Clock::now();
}

void Coordinator::on_snapshot_part(const std::string& node, const wire::SnapshotPart& part,
                                   Outbox& out) {
  parts_[node].push_back({part, members_[node].reports, {}});
  write_snapshots(out);
}

void Coordinator::on_tensor(const std::string& node, Message message, Outbox& out) {
  const wire::Tensor& fields = message.header.tensor();
  for (Part& part : parts_[node]) {
    if (SnapshotId(part.said.snapshot()) != SnapshotId(fields.snapshot())) continue;
    // A node that was lost may have sent some of what the one in its place sends.
    for (const CheckpointTensor& have : part.tensors)
      if (have.name == fields.name()) return;
    CheckpointTensor tensor;
    tensor.layer = node;
    tensor.name = fields.name();
    tensor.shape.assign(message.header.shape().begin(), message.header.shape().end());
    tensor.values = std::move(message.body);
    part.tensors.push_back(std::move(tensor));
    return write_snapshots(out);
  }
}

void Coordinator::write_snapshots(Outbox& out) {
  const auto is_there = [](const auto& queue) {
    return !queue.second.empty() && queue.second.front().complete();
  };
  // One at a time: the file of the line is not to be overwritten.
  while (!next_line_ && parts_.size() == nodes_.size() &&
         std::all_of(parts_.begin(), parts_.end(), is_there)) {
    std::map<std::string, Part> parts;
    for (auto& [name, queue] : parts_) {
      parts[name] = std::move(queue.front());
      queue.pop_front();
    }
    write_snapshot(std::move(parts), out);
  }
}

void Coordinator::write_snapshot(std::map<std::string, Part> parts, Outbox& out) {
  const wire::SnapshotPart& of_readout = parts.at(readout_name).said;
  const wire::Snapshot& snapshot = of_readout.snapshot();
  Checkpoint checkpoint;
  checkpoint.experiment = experiment_.text;
  checkpoint.step = snapshot.step();
  checkpoint.epoch = snapshot.epoch();
  checkpoint.train = of_readout.train();
  checkpoint.wall_seconds = wall_seconds();
  for (const LayerSpec& layer : experiment_.layers) {
    Part& part = parts.at(layer.name);
    LATERAL_CHECK(part.said.snapshot().step() == snapshot.step());
    for (CheckpointTensor& tensor : part.tensors) checkpoint.tensors.push_back(std::move(tensor));
  }
  snapshot_step_ = snapshot.step();
  if (snapshot.final()) state_sha256_ = lateral::state_sha256(checkpoint.tensors);
  if (probes_) write([&] { probes_->flush(snapshot.step()); });
  if (!plan_.directory) return;
  const bool written = write([&] {
    write_checkpoint(plan_.directory->checkpoint(), plan_.directory->previous_checkpoint(),
                     checkpoint, *plan_.disk);
  });
  if (!written) return;
  written_step_ = snapshot.step();
  if (!recoverable_) return;
  next_line_ = line_of(parts);
  check_cut(*next_line_);
  draw_line(out);
}

Coordinator::Line Coordinator::line_of(const std::map<std::string, Part>& parts) {
  Line line;
  line.snapshot = parts.at(readout_name).said.snapshot();
  for (const auto& [node, part] : parts) {
    line.parts[node] = part.said;
    line.reports[node] = part.reports;
  }
  return line;
}

void Coordinator::check_cut(const Line& line) const {
  const auto count = [&](const std::string& node, const std::string& peer) {
    for (const wire::Count& entry : line.parts.at(node).counts())
      if (entry.peer() == peer) return entry;
    return wire::Count();
  };
  for (const auto& [first, second] : links_) {
    LATERAL_CHECK(count(first, second).sent() == count(second, first).received());
    LATERAL_CHECK(count(first, second).received() == count(second, first).sent());
  }
}

void Coordinator::draw_line(Outbox& out) {
  if (!next_line_) return;
  for (const auto& [node, member] : members_)
    if (member.said < next_line_->reports.at(node)) return;
  line_ = std::exchange(next_line_, std::nullopt);
  for (auto& [node, member] : members_) member.restarts = 0;
  for (const NodeSpec& spec : nodes_) {
    Message durable;
    *durable.header.mutable_durable()->mutable_snapshot() = line_->snapshot;
    out.send(spec.name, std::move(durable));
  }
  write_snapshots(out);
}

bool Coordinator::write(const std::function<void()>& writing) {
  try {
    writing();
    return true;
  } catch (const UserError& failure) {
    if (experiment_.stop_when_unwritable) throw;
    progress_.note(std::string(failure.what()) + "; the run goes on without it");
    return false;
  }
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
  summary.restarts = restarts_;
  summary.nodes.push_back(coordinator);
  for (const NodeSpec& spec : nodes_) {
    const wire::Finished& finished = finished_.at(spec.name);
    summary.nodes.push_back({spec.name, spec.role, finished.pid(), finished.peak_rss_bytes(),
                             finished.cpu_seconds(), finished.messages_sent(),
                             finished.bytes_sent()});
  }
  if (!plan_.directory) return summary;
  // Where nothing was left to do the summary of the run stays as it is.
  const fs::path file = plan_.directory->summary();
  if (!plan_.resumed || train_samples_ > 0 || !fs::exists(file))
    write_atomically(file, to_json(summary));
  if (!state_sha256_.empty() && written_step_ != snapshot_step_)
    throw UserError(plan_.directory->checkpoint().string() + ": the state after step " +
                    std::to_string(snapshot_step_) + " could not be written, " +
                    (written_step_ ? "only that after step " + std::to_string(*written_step_)
                                   : "nor any before it"));
  return summary;
}

}  // namespace lateral
