// The checks of each kind of message, and the limits that follow from the experiment.
#include "nodes/coordinator/report_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "nodes/base/failure.hpp"
#include "nodes/base/name.hpp"
#include "nodes/experiment/data_settings.hpp"
#include "nodes/experiment/record_plan.hpp"
#include "transport/edge.hpp"

namespace lateral {
namespace {

/// Bytes of a header without the lists that depend on the network: the text of a failure, or an
/// address, or names, with their tags.
constexpr std::size_t header_base_bytes = failure_text_bytes_max + 4096;
static_assert(address_bytes_max < header_base_bytes);
/// Bytes of an entry for a peer: its name, two counts and their tags.
constexpr std::size_t count_bytes_max = 128;
/// A parsed header takes at most so many times its bytes: an empty message of two bytes becomes an
/// object.
constexpr std::size_t parsed_factor = 40;

[[noreturn]] void refuse(const std::string& node, const std::string& what) {
  throw_transport(TransportError::unexpected_message, fmt::format("from {}: {}", node, what));
}

/// The text is made only where it is needed: messages come in thousands.
template <class... Arguments>
void require(bool holds, const std::string& node, fmt::format_string<Arguments...> what,
             Arguments&&... arguments) {
  if (!holds) refuse(node, fmt::format(what, std::forward<Arguments>(arguments)...));
}

const LayerSpec* find_layer(const Experiment& experiment, const std::string& node) {
  const auto at = std::find_if(experiment.layers.begin(), experiment.layers.end(),
                               [&](const LayerSpec& layer) { return layer.name == node; });
  return at == experiment.layers.end() ? nullptr : &*at;
}

/// In which state of joining a node sends a message that is no report.
Membership::Stage stage_of(wire::Header::ContentCase content) {
  switch (content) {
    case wire::Header::kListening:
      return Membership::Stage::started;
    case wire::Header::kPrepared:
      return Membership::Stage::assigned;
    case wire::Header::kReady:
      return Membership::Stage::connected;
    default:
      return Membership::Stage::begun;
  }
}

}  // namespace

FrameLimits report_limits(const Experiment& experiment, const std::string& node) {
  FrameLimits limits{header_base_bytes, 0};
  limits.header_bytes_max += count_bytes_max * experiment.topology.peers(node).size();
  if (node == source_name) {
    const int constants =
        std::min(experiment.data_description.shape.pixels(), normalization_constants_max);
    limits.header_bytes_max += 2 * sizeof(double) * static_cast<std::size_t>(constants);
  }
  if (const LayerSpec* layer = find_layer(experiment, node))
    limits.body_bytes_max = experiment.report_bytes_max(*layer);
  return limits;
}

std::uint64_t bytes_held_max(const Experiment& experiment, const std::string& node) {
  const FrameLimits limits = report_limits(experiment, node);
  constexpr std::size_t frames = incoming_spare + 2;  // queued, being read and being handled
  std::uint64_t bytes = frames * (parsed_factor * limits.header_bytes_max + limits.body_bytes_max);
  const std::uint64_t part_bytes =
      parsed_factor * count_bytes_max * (2 + experiment.topology.peers(node).size());
  const LayerSpec* layer = find_layer(experiment, node);
  if (layer == nullptr) return bytes + empty_parts_ahead_max * part_bytes;
  std::uint64_t state = 0;
  for (const TensorSpec& tensor : experiment.tensors(*layer))
    state += values_of(tensor) * sizeof(float) + parsed_factor * count_bytes_max;
  const std::uint64_t snapshots =
      snapshots_ahead_max + static_cast<std::uint64_t>(experiment.steps_in_flight);
  return bytes + snapshots * (state + part_bytes);
}

ReportChecks::ReportChecks(const Experiment& experiment, const RunPlan& plan)
    : experiment_{experiment},
      plan_{plan},
      last_step_{train_steps_per_epoch_max(experiment) *
                 static_cast<std::uint64_t>(experiment.epochs)} {
  for (const NodeSpec& node : experiment.topology.nodes())
    peers_[node.name] = experiment.topology.peers(node.name);
  for (const LayerSpec& layer : experiment.layers)
    tensors_[layer.name] = static_cast<std::uint32_t>(experiment.tensors(layer).size());
  last_[readout_name].step = plan.first_step();
  last_[readout_name].epoch = plan.first_epoch();
}

void ReportChecks::check(const std::string& node, Membership::Stage stage,
                         const wire::Header& header) {
  const auto content = header.content_case();
  const bool joins = stage_of(content) != Membership::Stage::begun;
  const bool is_report = !joins && content != wire::Header::kTensor;
  require(stage == stage_of(content), node, "a message that does not belong to this state");
  require((header.report() > 0) == is_report, node, "report number {}, expected {}",
          header.report(), is_report ? "one" : "none");
  // A replacement of a node that has finished joins again, and repeats what came before.
  require(!is_report || !last_[node].has_finished, node, "a report after its last one");
  switch (content) {
    case wire::Header::kListening:
      return require(header.listening().address().size() <= address_bytes_max, node,
                     "an address of {} bytes, expected at most {}",
                     header.listening().address().size(), address_bytes_max);
    case wire::Header::kPrepared:
      return;
    case wire::Header::kReady:
      return check_ready(node, header.ready());
    case wire::Header::kProgress:
      return check_progress(node, header.progress());
    case wire::Header::kEpochResult:
      return check_epoch_result(node, header.epoch_result());
    case wire::Header::kProbe:
      return check_probe(node, header.probe());
    case wire::Header::kRecorded:
      return require(is_layer(node) && !experiment_.records.empty(), node,
                     "a row of a record, expected none");
    case wire::Header::kSnapshotPart:
      return check_snapshot_part(node, header.snapshot_part());
    case wire::Header::kTensor:
      return require(is_layer(node), node, "a tensor, expected none");
    case wire::Header::kFinished:
      return check_finished(node);
    default:
      refuse(node, "a message that nodes do not send to the coordinator");
  }
}

void ReportChecks::check_ready(const std::string& node, const wire::Ready& ready) const {
  if (node != source_name) {
    const bool is_empty = ready.ByteSizeLong() == 0;
    return require(is_empty, node, "a description of data, expected it from the source alone");
  }
  const auto values = static_cast<int>(experiment_.data_description.shape.pixels());
  const int means = ready.normalization().mean_size();
  require(means <= values && means == ready.normalization().standard_deviation_size(), node,
          "{} means and {} standard deviations, expected as many, at most {}", means,
          ready.normalization().standard_deviation_size(), values);
  require(ready.data_sha256().size() <= 32, node, "a digest of more than 32 bytes");
  const std::uint64_t steps = train_steps_per_epoch_max(experiment_);
  require(ready.train_steps_per_epoch() <= steps, node, "{} steps an epoch, expected at most {}",
          ready.train_steps_per_epoch(), steps);
}

void ReportChecks::check_progress(const std::string& node, const wire::Progress& progress) {
  require(node == readout_name && !plan_.evaluate_only, node, "a training step");
  Last& last = last_[node];
  require(progress.step() == last.step + 1 && progress.step() <= last_step_ &&
              progress.epoch() == last.epoch + 1,
          node, "step {} of epoch {}, expected step {} (of {}) of epoch {}", progress.step(),
          progress.epoch(), last.step + 1, last_step_, last.epoch + 1);
  const auto batch = static_cast<std::uint32_t>(experiment_.batches.batch_size);
  require(progress.samples() >= 1 && progress.samples() <= batch &&
              progress.correct() <= progress.samples(),
          node, "{} of {} samples correct, expected 1 to {} samples", progress.correct(),
          progress.samples(), batch);
  last.step = progress.step();
}

void ReportChecks::check_epoch_result(const std::string& node, const wire::EpochResult& result) {
  require(node == readout_name, node, "results of an epoch");
  Last& last = last_[node];
  const auto epochs = static_cast<std::uint64_t>(experiment_.epochs);
  require(result.epoch() == last.epoch + 1 && (plan_.evaluate_only || result.epoch() <= epochs),
          node, "results of epoch {}, expected {} (of {})", result.epoch(), last.epoch + 1, epochs);
  for (const wire::Sums* sums : {&result.train(), &result.test()})
    require(sums->correct() <= sums->samples(), node, "{} of {} samples correct", sums->correct(),
            sums->samples());
  last.epoch = result.epoch();
}

void ReportChecks::check_probe(const std::string& node, const wire::Probe& probe) {
  const auto is_allowed = [](char c) { return is_name(std::string_view(&c, 1)) || c == '.'; };
  require(is_layer(node) && !probe.probe().empty() && probe.probe().size() <= 64 &&
              std::all_of(probe.probe().begin(), probe.probe().end(), is_allowed),
          node, "a probe without a name, expected one of at most 64 letters, digits, '_', '-'");
  Last& last = last_[node];
  require(probe.step() >= last.probe_step && probe.step() <= last_step_ &&
              probe.epoch() <= static_cast<std::uint64_t>(experiment_.epochs),
          node, "a probe of step {} of epoch {}, expected step {} to {}", probe.step(),
          probe.epoch(), last.probe_step, last_step_);
  last.probes = probe.step() == last.probe_step ? last.probes + 1 : 1;
  last.probe_step = probe.step();
  require(last.probes <= probes_per_step_max, node, "more than {} probes of step {}",
          probes_per_step_max, probe.step());
}

void ReportChecks::check_snapshot_part(const std::string& node, const wire::SnapshotPart& part) {
  Last& last = last_[node];
  const wire::Snapshot& snapshot = part.snapshot();
  const Position position{snapshot.step(), snapshot.epoch(), snapshot.final()};
  const auto epochs = static_cast<std::uint64_t>(experiment_.epochs);
  require(!plan_.evaluate_only && snapshot.step() >= plan_.first_step() &&
              snapshot.step() <= std::max(last_step_, plan_.first_step()) &&
              snapshot.epoch() >= plan_.first_epoch() &&
              snapshot.epoch() <= std::max(epochs, plan_.first_epoch()) &&
              (!last.has_snapshot || (position > last.snapshot && !last.snapshot.final)),
          node,
          "a snapshot of step {} of epoch {}, expected a later one than step {} of "
          "epoch {}",
          snapshot.step(), snapshot.epoch(), last.snapshot.step, last.snapshot.epoch);
  require(!snapshot.final() || may_stop_ || snapshot.epoch() >= epochs, node,
          "the final snapshot after epoch {}, expected it after {}", snapshot.epoch(), epochs);
  const std::uint32_t tensors = is_layer(node) ? tensors_.at(node) : 0;
  require(part.tensors() == tensors, node, "a snapshot of {} tensors, expected {}", part.tensors(),
          tensors);
  const std::vector<std::string>& peers = peers_.at(node);
  std::set<std::string> counted;
  for (const wire::Count& count : part.counts())
    require(std::count(peers.begin(), peers.end(), count.peer()) == 1 &&
                counted.insert(count.peer()).second,
            node, "a count of messages with '{}'", count.peer());
  require(node == readout_name || !part.has_train(), node, "sums of an epoch");
  last.has_snapshot = true;
  last.snapshot = position;
}

void ReportChecks::check_finished(const std::string& node) {
  Last& last = last_[node];
  require(plan_.evaluate_only || last.snapshot.final, node,
          "its end, expected its final state first");
  require(node != readout_name || !plan_.evaluate_only || last.epoch > plan_.first_epoch(), node,
          "its end, expected its results first");
  last.has_finished = true;
}

}  // namespace lateral
