// NodeSession: the messages accepted in each state, and the conditions of each task.
#include "nodes/runtime/node_session.hpp"

#include <doctest/doctest.h>

#include <map>

#include "tests/support/network.hpp"
#include "tests/support/run.hpp"
#include "transport/error.hpp"

namespace lateral {
namespace {

using State = NodeSession::State;
using Kind = NodeSession::Task::Kind;

/// Records the calls of a session, and returns values set by the test.
struct RecordedLinks final : NodeLinks {
  std::vector<Sent> sent;
  std::vector<std::string> calls;
  std::map<std::string, std::deque<Message>> incoming;
  std::size_t unsent_peers = 0, unsent_coordinator = 0;
  bool linked = false, replaying = false;

  void send(const std::string& peer, Message message) override {
    sent.push_back({peer, std::move(message)});
  }
  void open(NetworkPlan plan) override {
    for (const NetworkPlan::Peer& peer : plan.peers)
      calls.push_back("open " + peer.peer.name() + " " + std::to_string(peer.stream.sent()) + " " +
                      std::to_string(peer.stream.received()));
  }
  void dial() override { calls.emplace_back("dial"); }
  void replace(const wire::Peer& peer) override {
    calls.push_back("replace " + peer.name() + " " + std::to_string(peer.generation()));
  }
  void forget(const std::string& peer, std::uint64_t through) override {
    calls.push_back("forget " + peer + " " + std::to_string(through));
  }
  std::optional<Message> read(const std::string& peer) override {
    std::deque<Message>& queue = incoming[peer];
    if (queue.empty()) return std::nullopt;
    Message message = std::move(queue.front());
    queue.pop_front();
    return message;
  }
  std::size_t unsent_to_peers() const override { return unsent_peers; }
  std::size_t unsent_to_coordinator() const override { return unsent_coordinator; }
  bool all_linked() const override { return linked; }
  bool is_replaying() const override { return replaying; }
  wire::Finished usage() const override { return {}; }
};

/// A process whose next action is set by the test. It answers a snapshot's marker with its part.
struct ScriptedProcess final : Process {
  explicit ScriptedProcess(std::vector<std::string>& c) : calls{c} {}
  std::vector<std::string>& calls;
  Next next_action{Next::Kind::receive, "below"};
  bool keeps_state = true;

  Next next() const override { return next_action; }
  void handle(const std::string& peer, Message message, Outbox& out) override {
    calls.push_back("handle " + peer);
    if (message.header.has_snapshot())
      out.send(coordinator_name, snapshot_part(message.header.snapshot(), 2));
  }
  void produce(bool stop, Outbox& out) override {
    calls.emplace_back(stop ? "stop" : "produce");
    out.send("above", Message());
  }
  void restore(const std::string& name, Message) override { calls.push_back("restore " + name); }
  void restored() override { calls.emplace_back("restored"); }
  Message tensor(std::size_t position, const wire::Snapshot&) override {
    calls.push_back("tensor " + std::to_string(position));
    return {};
  }
  bool handle_keeps_state() const override { return keeps_state; }
};

/// A session of a node between "below" and "above", and its recorded calls.
struct Fixture {
  Experiment experiment = small_experiment();
  RecordedLinks links;
  ScriptedProcess* process = nullptr;
  NodeSession session{{"hidden1", experiment.digest},
                      [this](const Experiment&, const wire::Assignment&) {
                        links.calls.emplace_back("make");
                        auto made = std::make_unique<ScriptedProcess>(links.calls);
                        process = made.get();
                        return made;
                      },
                      links};

  void order(const std::function<void(wire::Header&)>& fill) {
    Message message;
    fill(message.header);
    session.handle(std::move(message));
  }
  void assign(std::uint32_t tensors = 0) {
    order([&](wire::Header& header) {
      wire::Assignment& assignment = *header.mutable_assignment();
      assignment.set_experiment(experiment.text);
      assignment.set_tensors(tensors);
      assignment.set_recoverable(true);
      for (const char* name : {"below", "above"}) assignment.add_peers()->set_name(name);
      wire::Count& count = *assignment.add_counts();
      count.set_peer("below");
      count.set_sent(4);
      count.set_received(7);
    });
  }
  void order_durable(std::uint64_t step) {
    order([&](wire::Header& h) { h.mutable_durable()->mutable_snapshot()->set_step(step); });
  }
  /// Runs tasks until there are none.
  void run_tasks() {
    while (auto task = session.next_task()) {
      task->run();
      session.task_done();
    }
  }
  void become(State state) {
    session.start("address");
    if (state == State::listening) return;
    assign(state == State::preparing ? 1 : 0);
    run_tasks();
    if (state <= State::prepared) return;
    order([](wire::Header& header) { header.mutable_connect(); });
    if (state == State::linking) return;
    links.linked = true;
    run_tasks();
    if (state == State::ready) return;
    order([](wire::Header& header) { header.mutable_begin(); });
    if (state == State::serving) return;
    process->next_action = {Next::Kind::finished, {}};
    run_tasks();
    if (state == State::finished) return;
    order([](wire::Header& header) { header.mutable_leave(); });
  }
  void receive(const std::string& peer, Message message = {}) {
    links.incoming[peer].push_back(std::move(message));
  }
  void receive_marker(std::uint64_t step) {
    Message message;
    message.header.mutable_snapshot()->set_step(step);
    receive("below", std::move(message));
  }
  /// The contents of the messages to the coordinator, by field number.
  std::vector<int> reported() const {
    std::vector<int> contents;
    for (const Sent& message : links.sent)
      if (message.to == coordinator_name) contents.push_back(message.message.header.content_case());
    return contents;
  }
  std::vector<std::string> take_calls() { return std::exchange(links.calls, {}); }
};
using Calls = std::vector<std::string>;

TEST_CASE("a session goes through its states in order and reports each") {
  Fixture f;
  const auto check = [&](State state, std::vector<int> reported) {
    CHECK(f.session.state() == state);
    CHECK(f.reported() == reported);
  };
  constexpr int listening = wire::Header::kListening, prepared = wire::Header::kPrepared,
                ready = wire::Header::kReady, finished = wire::Header::kFinished;
  f.session.start("address");
  check(State::listening, {listening});
  f.assign();
  check(State::preparing, {listening});
  f.run_tasks();
  check(State::prepared, {listening, prepared});
  CHECK(f.take_calls() == Calls{"make", "restored", "open below 4 7", "open above 0 0"});
  f.order([](wire::Header& header) { header.mutable_connect(); });
  f.run_tasks();
  check(State::linking, {listening, prepared});
  CHECK(f.take_calls() == Calls{"dial"});
  f.links.linked = true;
  f.run_tasks();
  check(State::ready, {listening, prepared, ready});
  f.receive("below");
  f.run_tasks();
  CHECK(f.take_calls() == Calls{});  // not before Begin
  f.order([](wire::Header& header) { header.mutable_begin(); });
  f.run_tasks();
  check(State::serving, {listening, prepared, ready});
  CHECK(f.take_calls() == Calls{"handle below"});
  f.process->next_action = {Next::Kind::finished, {}};
  f.run_tasks();
  check(State::finished, {listening, prepared, ready, finished});
  CHECK(f.links.sent.back().message.header.report() == 1);
  f.order([](wire::Header& header) { header.mutable_leave(); });
  CHECK(f.session.state() == State::leaving);
  CHECK_FALSE(f.session.takes_message());
  CHECK_FALSE(f.session.next_task());
}

TEST_CASE("a message of the coordinator that does not belong to the present state is refused") {
  using Header = wire::Header;
  const std::map<int, std::function<void(Header&)>> orders{
      {Header::kAssignment, [](Header& h) { h.mutable_assignment(); }},
      {Header::kTensor, [](Header& h) { h.mutable_tensor(); }},
      {Header::kConnect, [](Header& h) { h.mutable_connect(); }},
      {Header::kBegin, [](Header& h) { h.mutable_begin(); }},
      {Header::kStop, [](Header& h) { h.mutable_stop(); }},
      {Header::kReplaced, [](Header& h) { h.mutable_replaced(); }},
      {Header::kDurable, [](Header& h) { h.mutable_durable(); }},
      {Header::kLeave, [](Header& h) { h.mutable_leave(); }},
      {Header::kActivity, [](Header& h) { h.mutable_activity(); }}};
  const std::map<State, std::set<int>> accepted{
      {State::listening, {Header::kAssignment}},
      {State::preparing, {Header::kTensor}},
      {State::prepared, {Header::kConnect, Header::kReplaced}},
      {State::linking, {Header::kReplaced}},
      {State::ready, {Header::kBegin, Header::kReplaced}},
      {State::serving, {Header::kStop, Header::kReplaced, Header::kDurable}},
      {State::finished, {Header::kStop, Header::kReplaced, Header::kDurable, Header::kLeave}}};
  for (const auto& [state, contents] : accepted)
    for (const auto& [content, fill] : orders) {
      CAPTURE(static_cast<int>(state));
      CAPTURE(content);
      Fixture f;
      f.become(state);
      REQUIRE(f.session.state() == state);
      if (content == Header::kAssignment && state == State::listening) continue;
      const error_code code = code_of([&, fill = fill] { f.order(fill); });
      CHECK(code == (contents.contains(content)
                         ? error_code{}
                         : make_error_code(TransportError::unexpected_message)));
    }
}

TEST_CASE("an assignment of another configuration is refused") {
  Fixture f;
  f.session.start("");
  f.experiment = small_experiment({"seed=7"});
  CHECK(code_of([&] { f.assign(); }) == TransportError::wrong_configuration);
}

TEST_CASE("tensors are restored one by one before the node is prepared") {
  Fixture f;
  f.session.start("");
  f.assign(2);
  for (const char* name : {"weights", "bias"}) {
    CHECK_FALSE(f.session.takes_message());
    f.run_tasks();
    CHECK(f.session.state() == State::preparing);
    CHECK(f.session.takes_message());
    f.order([&](wire::Header& header) { header.mutable_tensor()->set_name(name); });
  }
  const auto task = f.session.next_task();
  CHECK_FALSE(f.session.takes_message());
  CHECK_FALSE(f.session.next_task());
  task->run();
  f.session.task_done();
  CHECK(f.session.state() == State::prepared);
  CHECK(f.take_calls() == Calls{"make", "restore weights", "restore bias", "restored",
                                "open below 4 7", "open above 0 0"});
}

TEST_CASE("a process gets its next message only when what it has sent is on its way") {
  Fixture f;
  f.become(State::serving);
  f.take_calls();
  f.receive("below");
  f.links.unsent_peers = unsent_max + 1;
  CHECK_FALSE(f.session.next_task());
  f.links.unsent_peers = unsent_max;
  f.links.unsent_coordinator = unsent_max + 1;
  CHECK_FALSE(f.session.next_task());
  f.links.unsent_coordinator = unsent_max;
  const auto task = f.session.next_task();
  REQUIRE(task);
  CHECK(task->kind == Kind::handle);
  f.receive("below");
  CHECK_FALSE(f.session.next_task());  // one at a time
  task->run();
  f.session.task_done();
  CHECK(f.session.next_task());
}

TEST_CASE("a snapshot part counts the message that it answers") {
  Fixture f;
  f.become(State::serving);
  f.receive("below");
  f.receive_marker(5);
  f.run_tasks();
  const wire::SnapshotPart& part = f.links.sent.back().message.header.snapshot_part();
  REQUIRE(part.counts_size() == 1);
  CHECK(part.counts(0).received() == 9);  // 7 before it was assigned
  CHECK(part.counts(0).sent() == 4);
}

TEST_CASE("what changes the state waits until a snapshot has been copied") {
  for (const bool keeps_state : {true, false}) {
    CAPTURE(keeps_state);
    Fixture f;
    f.become(State::serving);
    f.process->keeps_state = keeps_state;
    f.receive_marker(5);
    f.run_tasks();
    f.take_calls();
    f.receive("below");
    f.run_tasks();  // continues to read only if handle() keeps the state
    CHECK(f.take_calls() == (keeps_state ? Calls{"handle below"} : Calls{}));
    f.process->next_action = {Next::Kind::produce, {}};
    f.run_tasks();
    CHECK(f.take_calls() == Calls{});
    for (const char* tensor : {"tensor 0", "tensor 1"}) {
      CHECK_FALSE(f.session.next_task());
      f.links.unsent_coordinator = 1;  // the tensor before it, or the snapshot part
      CHECK_FALSE(f.session.next_copy());
      f.links.unsent_coordinator = 0;
      const auto copy = f.session.next_copy();
      REQUIRE(copy);
      CHECK_FALSE(f.session.next_copy());  // one at a time
      (*copy)();
      f.session.copy_done();
      CHECK(f.take_calls() == Calls{tensor});
    }
    CHECK_FALSE(f.session.next_copy());
    const auto task = f.session.next_task();
    REQUIRE(task);
    CHECK(task->kind == Kind::produce);
  }
}

TEST_CASE("a source that repeats what its predecessor sent does not stop before that is over") {
  Fixture f;
  f.become(State::serving);
  f.process->next_action = {Next::Kind::produce, {}};
  f.order([](wire::Header& header) { header.mutable_stop(); });
  f.take_calls();
  for (const bool replaying : {true, false}) {
    f.links.replaying = replaying;
    const auto task = f.session.next_task();
    task->run();
    f.session.task_done();
    CHECK(f.take_calls() == Calls{replaying ? "produce" : "stop"});
  }
}

TEST_CASE("messages before a durable snapshot are forgotten, as its counts say") {
  Fixture f;
  f.become(State::serving);
  const auto produce = [&] {
    f.process->next_action = {Next::Kind::produce, {}};
    const auto task = f.session.next_task();
    task->run();
    f.session.task_done();
    f.process->next_action = {Next::Kind::receive, "below"};
  };
  const auto pass_snapshot = [&](std::uint64_t step) {
    f.receive_marker(step);
    f.run_tasks();
    for (int tensor = 0; tensor < 2; ++tensor) {
      (*f.session.next_copy())();
      f.session.copy_done();
    }
  };
  produce();
  pass_snapshot(1);
  produce();
  pass_snapshot(2);
  produce();
  f.take_calls();
  f.order_durable(2);
  CHECK(f.take_calls() == Calls{"forget above 2", "forget below 4"});
  f.order_durable(1);  // an earlier one discards nothing
  CHECK(f.take_calls() == Calls{});

  // It may be durable before the task that handles its marker has been reported as done.
  f.receive_marker(3);
  const auto task = f.session.next_task();
  task->run();
  f.order_durable(3);
  CHECK(f.take_calls() == Calls{"handle below"});
  f.session.task_done();
  CHECK(f.take_calls() == Calls{"forget above 3", "forget below 4"});
}

TEST_CASE("a session finishes only when all has been sent and all snapshots have been copied") {
  Fixture f;
  f.become(State::serving);
  f.receive_marker(5);
  f.run_tasks();
  f.process->next_action = {Next::Kind::finished, {}};
  f.run_tasks();
  CHECK(f.session.state() == State::serving);
  for (int tensor = 0; tensor < 2; ++tensor) {
    (*f.session.next_copy())();
    f.session.copy_done();
  }
  f.links.unsent_peers = 1;
  f.run_tasks();
  CHECK(f.session.state() == State::serving);
  f.links.unsent_peers = 0;
  f.run_tasks();
  CHECK(f.session.state() == State::finished);
}

}  // namespace
}  // namespace lateral
