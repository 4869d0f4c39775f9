// Assembles checkpoints from the parts of snapshots, and reads them for replacements.
#include "nodes/coordinator/recovery_points.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "nodes/base/failure.hpp"
#include "nodes/base/name.hpp"
#include "nodes/coordinator/report_checks.hpp"
#include "transport/error.hpp"

namespace lateral {
namespace {

wire::Count count_of_peer(const wire::SnapshotPart& part, const std::string& peer) {
  for (const wire::Count& count : part.counts())
    if (count.peer() == peer) return count;
  return {};
}

}  // namespace

RecoveryPoints::RecoveryPoints(const Experiment& experiment, const RunPlan& plan,
                               const Membership& membership, bool recoverable)
    : experiment_{experiment}, plan_{plan}, membership_{membership}, recoverable_{recoverable} {
  const auto& layers = experiment.layers;
  for (const CheckpointTensor& tensor : plan.start.tensors)
    if (std::none_of(layers.begin(), layers.end(),
                     [&](const LayerSpec& layer) { return layer.name == tensor.layer; }))
      throw UserError(
          fmt::format("checkpoint: /layers/{}/{} is for a layer that this network does not have",
                      tensor.layer, tensor.name));
  for (const NodeSpec& node : membership.nodes()) parts_[node.name];
  for (const LayerSpec& layer : layers) tensors_[layer.name] = experiment.tensors(layer);
}

void RecoveryPoints::add_part(const std::string& node, const wire::SnapshotPart& part) {
  std::deque<Part>& parts = parts_.at(node);
  const std::size_t ahead_max =
      tensors_.contains(node)
          ? snapshots_ahead_max + static_cast<std::size_t>(experiment_.steps_in_flight)
          : empty_parts_ahead_max;
  if (parts.size() >= ahead_max)
    throw_transport(TransportError::unexpected_message,
                    fmt::format("from {}: a snapshot while {} wait for other nodes, expected at "
                                "most as many",
                                node, parts.size()));
  parts.push_back({part, membership_.reports(node), {}});
}

void RecoveryPoints::add_tensor(const std::string& node, Message message) {
  const wire::Tensor& fields = message.header.tensor();
  std::deque<Part>& parts = parts_.at(node);
  const auto part = std::find_if(parts.begin(), parts.end(), [&](const Part& candidate) {
    return SnapshotId(candidate.reported.snapshot()) == SnapshotId(fields.snapshot());
  });
  if (part == parts.end()) return;
  // A lost node may have sent some of the tensors that its replacement sends.
  for (const CheckpointTensor& present : part->tensors)
    if (present.name == fields.name()) return;
  const auto& shape = message.header.shape();
  const std::vector<TensorSpec>& specs = tensors_.at(node);
  const std::size_t position = part->tensors.size();
  if (position >= specs.size() || fields.name() != specs[position].name ||
      !std::equal(shape.begin(), shape.end(), specs[position].shape.begin(),
                  specs[position].shape.end(),
                  [](std::uint32_t a, Index b) { return static_cast<Index>(a) == b; }))
    throw_transport(
        TransportError::unexpected_message,
        fmt::format("from {}: tensor '{}', expected '{}' in the shape of the experiment", node,
                    fields.name(), position < specs.size() ? specs[position].name : "none"));
  part->tensors.push_back(
      {node, fields.name(), {shape.begin(), shape.end()}, std::move(message.body)});
}

const wire::Snapshot* RecoveryPoints::next_complete() const {
  if (pending_) return nullptr;
  for (const auto& [node, parts] : parts_)
    if (parts.empty() || !parts.front().is_complete()) return nullptr;
  return &parts_.at(readout_name).front().reported.snapshot();
}

void RecoveryPoints::save_next(double wall_seconds, double first_loss) {
  RecoveryPoint point;
  for (auto& [node, parts] : parts_) {
    point.parts[node] = std::move(parts.front());
    parts.pop_front();
  }
  const wire::SnapshotPart& of_readout = point.parts.at(readout_name).reported;
  point.snapshot = of_readout.snapshot();
  Checkpoint checkpoint;
  checkpoint.experiment = experiment_.text;
  checkpoint.step = point.snapshot.step();
  checkpoint.epoch = point.snapshot.epoch();
  checkpoint.train = of_readout.train();
  checkpoint.wall_seconds = wall_seconds;
  checkpoint.first_loss = first_loss;
  for (const LayerSpec& layer : experiment_.layers) {
    Part& part = point.parts.at(layer.name);
    if (SnapshotId(part.reported.snapshot()) != SnapshotId(point.snapshot))
      throw_transport(
          TransportError::unexpected_message,
          fmt::format("from {}: a snapshot of step {}, where that of {} is of step {}", layer.name,
                      part.reported.snapshot().step(), readout_name, point.snapshot.step()));
    for (CheckpointTensor& tensor : std::exchange(part.tensors, {}))
      checkpoint.tensors.push_back(std::move(tensor));
  }
  last_step_ = checkpoint.step;
  if (point.snapshot.final()) state_sha256_ = lateral::state_sha256(checkpoint.tensors);
  if (!plan_.directory) return;
  write_checkpoint(plan_.directory->checkpoint(), plan_.directory->previous_checkpoint(),
                   checkpoint, *plan_.disk);
  saved_step_ = checkpoint.step;
  if (!recoverable_) return;
  check_consistent(point);
  pending_ = std::move(point);
}

void RecoveryPoints::check_consistent(const RecoveryPoint& point) const {
  for (const auto& [first, second] : membership_.links()) {
    const wire::Count at_first = count_of_peer(point.parts.at(first).reported, second);
    const wire::Count at_second = count_of_peer(point.parts.at(second).reported, first);
    if (at_first.sent() != at_second.received() || at_first.received() != at_second.sent())
      throw_transport(
          TransportError::unexpected_message,
          fmt::format(
              "snapshot of step {}: {} sent {} and received {} messages, {} received {} and "
              "sent {}",
              point.snapshot.step(), first, at_first.sent(), at_first.received(), second,
              at_second.received(), at_second.sent()));
  }
}

const wire::Snapshot* RecoveryPoints::commit_recovery_point() {
  if (!pending_) return nullptr;
  for (const auto& [node, part] : pending_->parts)
    if (membership_.position(node) < part.reports) return nullptr;
  committed_ = std::exchange(pending_, std::nullopt);
  return &committed_->snapshot;
}

void RecoveryPoints::set_start(const std::string& node, wire::Assignment& assignment) const {
  if (committed_) {
    const Part& part = committed_->parts.at(node);
    const wire::Snapshot& snapshot = part.reported.snapshot();
    assignment.set_first_step(snapshot.step());
    assignment.set_first_epoch(snapshot.epoch());
    assignment.set_ended(snapshot.final());
    assignment.set_after_snapshot(true);
    *assignment.mutable_train() = part.reported.train();
    *assignment.mutable_counts() = part.reported.counts();
    assignment.set_reports(part.reports);
  } else if (plan_.resumed) {
    assignment.set_first_step(plan_.start.step);
    assignment.set_first_epoch(plan_.start.epoch);
    *assignment.mutable_train() = plan_.start.train;
  }
}

std::vector<CheckpointTensor> RecoveryPoints::state_of(const std::string& node) const {
  std::vector<CheckpointTensor> state;
  if (!committed_) {
    for (const CheckpointTensor& tensor : plan_.start.tensors)
      if (tensor.layer == node) state.push_back(tensor);
    return state;
  }
  if (committed_->parts.at(node).reported.tensors() == 0) return state;
  const RunDirectory& directory = *plan_.directory;
  const wire::Snapshot& snapshot = committed_->snapshot;
  try {
    const std::filesystem::path path =
        pending_ ? directory.previous_checkpoint() : directory.checkpoint();
    Checkpoint checkpoint = read_checkpoint(path, checkpoint_limits(experiment_), node);
    if (checkpoint.step != snapshot.step() || checkpoint.epoch != snapshot.epoch())
      throw UserError(fmt::format("{}: is of step {}, expected {}", path.string(), checkpoint.step,
                                  snapshot.step()));
    return std::move(checkpoint.tensors);
  } catch (const UserError& damage) {
    throw NetworkError(fmt::format("node '{}' cannot be replaced: {}", node, damage.what()));
  }
}

std::uint64_t RecoveryPoints::reports_before(const std::string& node) const {
  return committed_ ? committed_->parts.at(node).reports : 0;
}

std::optional<std::uint64_t> RecoveryPoints::committed_step() const {
  return committed_ ? std::optional(committed_->snapshot.step()) : std::nullopt;
}

void RecoveryPoints::check_final_saved() const {
  if (state_sha256_.empty() || saved_step_ == last_step_) return;
  throw UserError(fmt::format("{}: the state after step {} could not be written, {}",
                              plan_.directory->checkpoint().string(), last_step_,
                              saved_step_
                                  ? fmt::format("only the state after step {}", *saved_step_)
                                  : "and no earlier state has been written"));
}

}  // namespace lateral
