// The effect of each message of the coordinator in each state, and the conditions of each task.
#include "nodes/runtime/node_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "nodes/experiment/protocol.hpp"
#include "transport/error.hpp"

namespace lateral {

NodeSession::NodeSession(Node node, MakeProcess make_process, NodeLinks& links, Log log)
    : node_{std::move(node)},
      make_process_{std::move(make_process)},
      links_{links},
      log_{std::move(log)} {}

void NodeSession::start(const std::string& address) {
  Message listening;
  listening.header.mutable_listening()->set_address(address);
  links_.send(coordinator_name, std::move(listening));
}

bool NodeSession::takes_message() const {
  if (state_ == State::preparing) return !busy_ && !preparation_;
  return state_ != State::leaving;
}

void NodeSession::handle(Message message) {
  const wire::Header& header = message.header;
  switch (header.content_case()) {
    case wire::Header::kAssignment:
      if (state_ != State::listening) break;
      return assign(header.assignment());
    case wire::Header::kTensor:
      if (state_ != State::preparing) break;
      return restore(std::move(message));
    case wire::Header::kConnect:
      if (state_ != State::prepared) break;
      state_ = State::linking;
      return links_.dial();
    case wire::Header::kBegin:
      if (state_ != State::ready) break;
      state_ = State::serving;
      return;
    case wire::Header::kReplaced: {
      if (state_ < State::prepared) break;
      const wire::Peer& peer = header.replaced().peer();
      log_.info(fmt::format("{} is replaced by its generation {}", peer.name(), peer.generation()));
      return links_.replace(peer);
    }
    case wire::Header::kDurable:
      if (state_ < State::serving) break;
      return forget_before(SnapshotId(header.durable().snapshot()));
    case wire::Header::kStop:
      if (state_ < State::serving) break;
      stop_ = true;
      return;
    case wire::Header::kLeave:
      if (state_ != State::finished) break;
      state_ = State::leaving;
      return;
    default:
      break;
  }
  throw_unexpected();
}

void NodeSession::throw_unexpected() const {
  const char* expected = "from the coordinator";
  if (state_ == State::listening) expected = "expected an assignment from the coordinator";
  if (state_ == State::preparing) expected = "expected state from the coordinator";
  throw_transport(TransportError::unexpected_message, expected);
}

// ---- Preparing

void NodeSession::assign(const wire::Assignment& assignment) {
  assignment_ = assignment;
  experiment_ = parse_experiment(assignment.experiment(), "assignment", {});
  if (experiment_->digest != node_.digest)
    throw_transport(TransportError::wrong_configuration, "the assignment of the coordinator");
  tensors_left_ = assignment.tensors();
  state_ = State::preparing;
  preparation_ = {Task::Kind::prepare,
                  [this] { process_ = make_process_(*experiment_, assignment_); }};
}

void NodeSession::restore(Message tensor) {
  --tensors_left_;
  auto shared = std::make_shared<Message>(std::move(tensor));
  preparation_ = {Task::Kind::prepare, [this, shared] {
                    const std::string name = shared->header.tensor().name();
                    process_->restore(name, std::move(*shared));
                  }};
}

void NodeSession::become_prepared() {
  process_->restored();
  NetworkPlan plan;
  plan.in_flight = messages_in_flight(*experiment_, node_.name);
  plan.body_bytes_max = message_bytes_max(*experiment_, node_.name);
  plan.recoverable = assignment_.recoverable();
  std::map<std::string, wire::Count> counts;
  for (const wire::Count& count : assignment_.counts()) counts[count.peer()] = count;
  for (const wire::Peer& peer : assignment_.peers()) {
    const wire::Count& before = counts[peer.name()];
    Stream stream(plan.recoverable, before.sent(), before.received(),
                  node_.generation == 0 ? Stream::Origin::first : Stream::Origin::replacement);
    stream.refill_by(process_->refill());
    plan.peers.push_back({peer, std::move(stream)});
  }
  router_.emplace(links_, assignment_,
                  [this](const wire::SnapshotPart& part) { snapshots_.announce(part); });
  links_.open(std::move(plan));
  state_ = State::prepared;
  Message prepared;
  prepared.header.mutable_prepared();
  links_.send(coordinator_name, std::move(prepared));
}

// ---- Working

std::optional<NodeSession::Task> NodeSession::next_task() {
  if (busy_) return std::nullopt;
  if (state_ == State::linking && links_.all_linked()) become_ready();
  std::optional<Task> task;
  if (state_ == State::preparing) task = std::exchange(preparation_, std::nullopt);
  if (state_ == State::serving) task = next_work();
  busy_ = task.has_value();
  return task;
}

void NodeSession::become_ready() {
  state_ = State::ready;
  Message ready;
  process_->describe(*ready.header.mutable_ready());
  links_.send(coordinator_name, std::move(ready));
  log_.info("ready");
}

std::optional<NodeSession::Task> NodeSession::next_work() {
  // Flow control: no new task while earlier messages wait to be sent.
  if (links_.unsent_to_peers() > unsent_max || links_.unsent_to_coordinator() > unsent_max)
    return std::nullopt;
  const Next next = process_->next();
  // A snapshot contains the state at its marker, which must not change before it has been copied.
  const bool changes_state = next.kind != Next::Kind::receive || !process_->handle_keeps_state();
  if (changes_state && snapshots_.is_active()) return std::nullopt;
  switch (next.kind) {
    case Next::Kind::finished:
      if (links_.unsent_to_peers() == 0) finish();
      return std::nullopt;
    case Next::Kind::produce: {
      // A source that is a replacement stops only after it has repeated all that its predecessor
      // sent.
      const bool stop = stop_ && !links_.is_replaying();
      return Task{Task::Kind::produce, [this, stop] { process_->produce(stop, *router_); }};
    }
    case Next::Kind::receive:
      break;
  }
  std::optional<Message> message = links_.read(next.peer);
  if (!message) return std::nullopt;
  auto shared = std::make_shared<Message>(std::move(*message));
  return Task{Task::Kind::handle, [this, peer = next.peer, shared] {
                // Counted first: a snapshot part that handle() sends must include this message.
                router_->count_received(peer);
                process_->handle(peer, std::move(*shared), *router_);
              }};
}

void NodeSession::task_done() {
  busy_ = false;
  if (state_ == State::preparing) {
    if (tensors_left_ == 0) become_prepared();
    return;
  }
  for (wire::SnapshotPart& part : snapshots_.begin_announced()) passed_.push_back(std::move(part));
  if (durable_) forget_before(*durable_);
}

void NodeSession::finish() {
  state_ = State::finished;
  log_.info("finished");
  Message message;
  *message.header.mutable_finished() = links_.usage();
  router_->send(coordinator_name, std::move(message));
}

// ---- Snapshots

std::optional<std::function<void()>> NodeSession::next_copy() {
  if (links_.unsent_to_coordinator() > 0) return std::nullopt;
  const std::optional<SnapshotSender::Copy> copy = snapshots_.next();
  if (!copy) return std::nullopt;
  return [this, copy = *copy] {
    links_.send(coordinator_name, process_->tensor(copy.position, copy.snapshot));
  };
}

void NodeSession::forget_before(const SnapshotId& snapshot) {
  const auto durable = std::find_if(
      passed_.begin(), passed_.end(),
      [&](const wire::SnapshotPart& part) { return SnapshotId(part.snapshot()) == snapshot; });
  if (durable == passed_.end()) {  // the task that handles its marker is not done yet
    durable_ = snapshot;
    return;
  }
  for (const wire::Count& count : durable->counts()) links_.forget(count.peer(), count.sent());
  passed_.erase(passed_.begin(), std::next(durable));
  durable_.reset();
}

}  // namespace lateral
