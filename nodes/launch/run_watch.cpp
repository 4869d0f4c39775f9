// Silence, evidence, signals and the end of a run.
#include "nodes/launch/run_watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

namespace lateral {
namespace {

Evidence silent(const std::string& node, std::string detail) {
  return {Evidence::Kind::silent, node, ExitCode::network, std::move(detail)};
}

}  // namespace

RunWatch::RunWatch(std::vector<std::string> nodes, std::optional<SilenceLimits> limits,
                   GetLinkState link_state, std::size_t processors)
    : nodes_{std::move(nodes)},
      limits_{limits},
      link_state_{std::move(link_state)},
      processors_{std::max<std::size_t>(1, processors)} {
  for (const std::string& node : nodes_) generation_[node] = 0;
}

/// A node that is only lost can be replaced; any other failure would recur.
void RunWatch::add(Evidence item) {
  if (item.code == ExitCode::network)
    lost_.push_back(std::move(item));
  else
    evidence_.push_back(std::move(item));
}

void RunWatch::tick() {
  if (!limits_) return;
  const auto linked = static_cast<std::size_t>(
      std::count_if(nodes_.begin(), nodes_.end(),
                    [&](const std::string& node) { return link_state_(node).linked; }));
  const bool others_connect = linked_ && linked > *linked_;
  linked_ = linked;
  for (const std::string& node : nodes_)
    if (!not_started_.contains(node)) tick(node, others_connect);
  if (not_started_.empty() && evidence_.empty()) check_progress();
}

void RunWatch::note_progress(const std::string& node, const wire::Heartbeat& heartbeat) {
  Progress& progress = progress_[node];
  const std::uint64_t seen = progress.handled + heartbeat.tasks();
  // While the coordinator itself is busy nobody is idle.
  progress.idle_ticks = seen == progress.seen ? progress.idle_ticks + (handling_ ? 0 : 1) : 0;
  progress.seen = seen;
  progress.longest_ms = heartbeat.longest_ms();
}

void RunWatch::check_progress() {
  std::vector<std::pair<int, std::string_view>> idle;
  std::vector<std::uint64_t> longest_ms;
  for (const auto& [node, progress] : progress_) {
    idle.emplace_back(progress.idle_ticks, node);
    longest_ms.push_back(progress.longest_ms);
  }
  // What one node says of itself does not count: the second of each.
  const std::ptrdiff_t second = idle.size() > 1 ? 1 : 0;
  std::nth_element(idle.begin(), idle.begin() + second, idle.end());
  std::nth_element(longest_ms.begin(), longest_ms.begin() + second, longest_ms.end(),
                   std::greater<>{});
  const std::chrono::milliseconds longest{longest_ms.begin()[second]};
  const std::chrono::milliseconds limit =
      begun_ ? std::max(limits_->progress, limits_->work_factor * longest) : limits_->preparation;
  if (idle.begin()[second].first * watch_interval < limit) return;
  const auto& [ticks, node] = *std::min_element(idle.begin(), idle.end());
  evidence_.push_back(silent(
      std::string(node),
      ticks * watch_interval < limit
          ? fmt::format("is the only one to have done anything for {} s", limit.count() / 1000)
          : fmt::format("and all others have done nothing for {} s", limit.count() / 1000)));
}

std::chrono::milliseconds RunWatch::silence_max() const {
  const std::size_t share = nodes_.size() / processors_;
  if (share <= limits_->nodes_per_processor) return limits_->silence;
  return limits_->silence + (share - limits_->nodes_per_processor) * limits_->silence_per_node;
}

void RunWatch::tick(const std::string& node, bool others_connect) {
  const LinkState link = link_state_(node);
  note_progress(node, link.heartbeat);
  Silence& last = silence_[node];
  // A closed link is reported as such; a link that is not being read is a delay of the coordinator.
  const bool is_silent = link.bytes_received == last.bytes && generation(node) == last.generation &&
                         !link.closed && !link.is_full && (link.linked || !others_connect);
  last = {generation(node), link.bytes_received, is_silent ? last.ticks + 1 : 0};
  const auto time = last.ticks * watch_interval;
  if (!link.linked) {
    if (time >= limits_->start)
      add(silent(node, fmt::format("has not connected for {} ms", limits_->start.count())));
    return;
  }
  if (time >= silence_max())
    add(silent(node, fmt::format("has been silent for {} ms", silence_max().count())));
  const std::uint64_t work_max = std::max<std::uint64_t>(
      limits_->work_ms, std::uint64_t{limits_->work_factor} * link.heartbeat.longest_ms());
  if (link.heartbeat.busy_ms() > work_max)
    add(silent(node, fmt::format("has worked on one task for {} ms, expected at most {}",
                                 link.heartbeat.busy_ms(), work_max)));
}

void RunWatch::link_closed(const std::string& node) {
  add({Evidence::Kind::link_closed, node, ExitCode::network, "closed its link to the coordinator"});
}

void RunWatch::node_ended(const NodeEnd& end) {
  if (end.generation != generation(end.node)) return;
  // A node that ended with exit code 0 has reported that it has finished: the report may still wait
  // to be read. If there is none, the closed link will be reported.
  if (end.exit_code == 0) return;
  const ExitCode code = failure_code(end.exit_code.value_or(static_cast<int>(ExitCode::network)))
                            .value_or(ExitCode::network);
  const bool lost_another = end.exit_code && code == ExitCode::network;
  Evidence item{lost_another ? Evidence::Kind::lost_another : Evidence::Kind::process_failed,
                end.node, code, end.description};
  if (end.cause == NodeEnd::Cause::out_of_memory) {
    item.detail +=
        ", and is not replaced: a larger machine, or fewer units, samples in a batch or data are "
        "needed (lateral check shows the memory of each node)";
    evidence_.push_back(std::move(item));
  } else if (end.cause == NodeEnd::Cause::crash && ++crashes_[end.node] >= crashes_max) {
    item.detail += fmt::format(", for the {}rd time, and is not replaced again", crashes_max);
    evidence_.push_back(std::move(item));
  } else {
    add(std::move(item));
  }
}

void RunWatch::failed(const std::string& node, const wire::Failed& failure) {
  const std::optional<ExitCode> code = failure_code(failure.exit_code());
  const std::string message = one_line(failure.message());
  if (!code)
    add({Evidence::Kind::lost_another, node, ExitCode::network,
         fmt::format("reports exit code {}, which no failure has: {}", failure.exit_code(),
                     message)});
  else if (*code == ExitCode::network)
    add({Evidence::Kind::lost_another, node, *code, "reports: " + message});
  else
    add({Evidence::Kind::reported, node, *code, message});
}

void RunWatch::signalled(int number, Time now) {
  const bool is_first = signal_ == 0;
  if (!is_first && now - signalled_at_ < same_request) return;
  if (is_first) signalled_at_ = now;
  signal_ = number;
  stop_due_ = is_first && begun_;
  // Before training has begun, and at a second signal, the run ends at once.
  end_at_ = stop_due_ ? now + stop_max : now;
}

void RunWatch::replaced(const std::string& node, std::uint32_t generation) {
  generation_.at(node) = generation;
  std::erase_if(lost_, [&](const Evidence& other) { return other.node == node; });
}

bool RunWatch::more_evidence_possible() const {
  return handling_ || std::any_of(evidence_.begin(), evidence_.end(), [&](const Evidence& item) {
           return link_state_(item.node).has_unread;
         });
}

std::optional<RunWatch::Action> RunWatch::next(Time now) {
  if (now >= end_at_) return Action{Action::Kind::end};
  if (all_finished()) {
    if (std::exchange(dismissed_, true)) return std::nullopt;
    return Action{Action::Kind::dismiss};
  }
  if (std::exchange(stop_due_, false)) return Action{Action::Kind::stop};
  if (!lost_.empty()) {
    Action replace{Action::Kind::replace, std::move(lost_.front())};
    lost_.pop_front();
    return replace;
  }
  if (evidence_.empty()) return std::nullopt;
  if (evidence_due_ == Time::max()) {
    evidence_due_ = now + evidence_wait;
  } else if (now >= evidence_due_) {
    if (++evidence_waits_ == evidence_waits_max || !more_evidence_possible())
      return Action{Action::Kind::end};
    evidence_due_ = now + evidence_wait;
  }
  return std::nullopt;
}

RunWatch::Time RunWatch::next_time() const { return std::min(end_at_, evidence_due_); }

std::optional<Failure> RunWatch::failure() const {
  if (all_finished() || evidence_.empty()) return std::nullopt;
  return verdict(evidence_);
}

}  // namespace lateral
