// A whole run in one thread on virtual time, with faults of processes, links and disks that are
// drawn from a seed.
#pragma once

#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <queue>

#include "nodes/base/failure.hpp"
#include "nodes/coordinator/coordinator.hpp"
#include "nodes/launch/run_watch.hpp"
#include "nodes/process/make_process.hpp"
#include "nodes/results/progress.hpp"
#include "nodes/runtime/node_session.hpp"
#include "tests/support/network.hpp"
#include "tests/support/simulated_disk.hpp"
#include "transport/edge.hpp"

namespace lateral {

/// The outcome of a simulated run.
struct SimulatedRun {
  bool ended = false;
  std::map<std::string, int> faults;  // by kind
  std::uint64_t trace = 0;            ///< hash of every event, in order: a function of the seed
  std::uint64_t virtual_us = 0;
  Summary summary;
  std::string probes;
};

/// Nodes and the coordinator with the real state machines (NodeSession, Edge, Coordinator,
/// checkpoint files); sockets, timers, threads and operating system processes are simulated.
class FaultyNetwork {
 public:
  /// `faults`: number of faults; there are none after the last one.
  FaultyNetwork(const Experiment& experiment, const DataSet& data, std::uint64_t seed, int faults)
      : experiment_{experiment}, data_{data}, random_{seed}, disk_{seed}, faults_left_{faults} {
    folder_ = std::filesystem::temp_directory_path() /
              ("lateral-simulation-" + std::to_string(getpid()) + "-" + std::to_string(seed));
    if (std::filesystem::is_directory("/dev/shm")) folder_ = "/dev/shm" / folder_.filename();
    std::filesystem::remove_all(folder_);
  }
  ~FaultyNetwork() {
    for (const NodePtr& node : all_nodes_) {  // nodes and connections have pointers to each other
      node->control.connection.reset();
      for (auto& [peer, end] : node->ends) end.connection.reset();
    }
    coordinator_.reset();
    std::filesystem::remove_all(folder_);
  }
  FaultyNetwork(const FaultyNetwork&) = delete;
  FaultyNetwork& operator=(const FaultyNetwork&) = delete;

  SimulatedRun run() {
    start_session();
    if (faults_left_ > 0) after(between_faults(), [this] { fault(); });
    for (std::uint64_t events = 0; !over_ && !events_.empty() && events < events_max; ++events) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.time;
      run_.trace = (run_.trace ^ now_) * 1099511628211u;
      event.what();
    }
    run_.ended = over_;
    run_.virtual_us = now_;
    return std::move(run_);
  }

 private:
  using Time = std::uint64_t;  // µs
  static constexpr Time ms = 1000;
  static constexpr Time redial_interval = 50 * ms;
  static constexpr std::uint64_t events_max = 1000000;
  static constexpr std::size_t in_flight_max = 3;

  struct Event {
    Time time;
    std::uint64_t number;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return std::pair(time, number) > std::pair(other.time, other.number);
    }
  };

  struct Connection;
  struct Node;
  using NodePtr = std::shared_ptr<Node>;

  /// One end of an edge, of a node or of the coordinator.
  struct End {
    Edge edge;
    std::shared_ptr<Connection> connection;  // null once this side has noticed its end
    int side = 0;
  };

  struct Connection {
    End* end[2] = {nullptr, nullptr};
    NodePtr holder[2];  // none: the coordinator
    std::deque<Message> towards[2];
    Time last[2] = {0, 0};
    bool broken = false;
  };

  /// A node process: a real session, and its links and work on virtual time.
  struct Node final : NodeLinks, std::enable_shared_from_this<Node> {
    Node(FaultyNetwork& n, const std::string& name_, std::uint32_t generation_)
        : network{n},
          name{name_},
          generation{generation_},
          session{{name, n.experiment_.digest, generation_},
                  [this](const Experiment& experiment, const wire::Assignment& assignment) {
                    return make_process(name, experiment, assignment, &network.data_);
                  },
                  *this} {}

    void send(const std::string& peer, Message message) override {
      (peer == coordinator_name ? control : ends.at(peer)).edge.push(std::move(message));
    }
    void open(NetworkPlan plan) override {
      for (NetworkPlan::Peer& peer : plan.peers) {
        ends[peer.peer.name()].edge = Edge(std::move(peer.stream), {.in_flight = plan.in_flight});
        peers[peer.peer.name()] = peer.peer;
      }
    }
    void dial() override {
      dials = true;
      for (const auto& [peer, end] : ends) network.dial(shared_from_this(), peer);
    }
    void replace(const wire::Peer& peer) override {
      peers[peer.name()] = peer;
      network.detach(ends.at(peer.name()));
      network.dial(shared_from_this(), peer.name());
    }
    void forget(const std::string& peer, std::uint64_t through) override {
      ends.at(peer).edge.forget(through);
    }
    std::optional<Message> read(const std::string& peer) override {
      return ends.at(peer).edge.read();
    }
    std::size_t unsent_to_peers() const override {
      std::size_t most = 0;
      for (const auto& [peer, end] : ends) most = std::max(most, end.edge.unsent());
      return most;
    }
    std::size_t unsent_to_coordinator() const override { return control.edge.unsent(); }
    bool all_linked() const override {
      return std::all_of(ends.begin(), ends.end(),
                         [](const auto& entry) { return entry.second.edge.resumed(); });
    }
    bool is_replaying() const override {
      return std::any_of(ends.begin(), ends.end(),
                         [](const auto& entry) { return entry.second.edge.is_replaying(); });
    }
    wire::Finished usage() const override { return {}; }

    FaultyNetwork& network;
    const std::string name;
    const std::uint32_t generation;
    bool alive = true;
    Time paused_until = 0;
    Time slowness = 1;
    End control;
    std::map<std::string, End> ends;  // by peer
    std::map<std::string, wire::Peer> peers;
    bool dials = false;
    NodeSession session;
  };

  /// The coordinator's ends.
  struct CoordinatorLinks final : Outbox {
    std::map<std::string, End> ends;  // by node
    void send(const std::string& node, Message message) override {
      ends.at(node).edge.push(std::move(message));
    }
  };

  // ---- Time and chance

  void after(Time delay, std::function<void()> what) {
    events_.push({now_ + delay, ++event_number_, std::move(what)});
  }
  Time between(Time low, Time high) { return low + random_() % (high - low + 1); }
  Time between_faults() { return between(500, 8 * ms); }
  bool awake(const Node& node) const { return node.alive && node.paused_until <= now_; }
  /// Runs an action as soon as the node is not paused, unless it was killed.
  void when_awake(const NodePtr& node, std::function<void()> what) {
    if (!node->alive) return;
    if (awake(*node)) return what();
    after(node->paused_until - now_, [this, node, what] { when_awake(node, what); });
  }

  // ---- Sessions: from the start or a resume to the end or a crash

  void start_session() {
    plan_ = std::make_unique<RunPlan>();
    plan_->disk = &disk_;
    plan_->threads = 1;
    try {
      plan_->directory = RunDirectory::reopen(folder_);
      plan_->start = newest_checkpoint(
          *plan_->directory, checkpoint_limits(experiment_), [](const std::string&) {}, true);
      plan_->resumed = true;
    } catch (const UserError&) {
      // One checkpoint may be torn; if there have been two, the other must be intact.
      if (disk_.folder_syncs() >= syncs_before_ + 2) throw;
      syncs_before_ = disk_.folder_syncs();
      plan_->directory.reset();
      std::filesystem::remove_all(folder_);
      plan_->directory = RunDirectory::create(folder_);
    }
    coordinator_ = std::make_unique<Coordinator>(experiment_, *plan_, progress_, true);
    std::vector<std::string> names;
    for (const NodeSpec& spec : experiment_.topology.nodes()) names.push_back(spec.name);
    watch_ = std::make_shared<RunWatch>(
        names, SilenceLimits{}, [this](const std::string& name) { return link_state(name); });
    tick(watch_);
    for (const NodeSpec& spec : experiment_.topology.nodes()) {
      End& end = coordinator_links_.ends[spec.name];  // is not moved: old links may point to it
      end.connection.reset();
      end.edge = Edge(Stream(true), {.acknowledges = true});
      start_node(spec.name, 0);
    }
  }

  void start_node(const std::string& name, std::uint32_t generation) {
    auto node = std::make_shared<Node>(*this, name, generation);
    node->control.edge = Edge(Stream(true), {.acknowledges = true});
    nodes_[name] = node;
    all_nodes_.push_back(node);
    // Sometimes so fast that its peers still handle messages of its predecessor.
    after(between(0, 1) == 0 ? between(50, 500) : between(2 * ms, 20 * ms), [this, node] {
      node->session.start("simulated");
      connect_to_coordinator(node);
    });
  }

  /// A power failure of the machine; the run is resumed later.
  void crash() {
    for (auto& [name, node] : nodes_) end_of(node);
    for (const NodePtr& node : paused_predecessors_) end_of(node);
    nodes_.clear();
    paused_predecessors_.clear();
    watch_.reset();
    coordinator_.reset();
    plan_.reset();  // unlocks its folder
    disk_.crash(folder_);
    after(5 * ms, [this] { start_session(); });
  }

  void end_of(const NodePtr& node) {
    node->alive = false;
    cut(node->control);
    for (auto& [peer, end] : node->ends) cut(end);
  }

  // ---- The run loop around RunWatch

  LinkState link_state(const std::string& name) const {
    const End& end = coordinator_links_.ends.at(name);
    LinkState state;
    state.linked = end.connection != nullptr;
    state.is_full = end.edge.is_full();
    state.has_unread = end.edge.has_unread();
    if (tasks_finished_.contains(name)) state.heartbeat.set_tasks(tasks_finished_.at(name));
    state.bytes_received = bytes_received_.contains(name) ? bytes_received_.at(name) : 0;
    return state;
  }

  /// Every watch_interval of this session. Heartbeats arrive just before.
  void tick(const std::shared_ptr<RunWatch>& watch) {
    after(static_cast<Time>(watch_interval.count()) * ms, [this, watch] {
      if (watch != watch_) return;
      for (const auto& [name, node] : nodes_) {
        const auto& connection = coordinator_links_.ends.at(name).connection;
        if (connection && !connection->broken && connection->holder[0] == node && awake(*node))
          ++bytes_received_[name];
      }
      tick(watch);
      watch_->tick();
      carry_out_actions();
    });
  }

  static RunWatch::Time clock_time(Time time) {
    return RunWatch::Time(std::chrono::microseconds(time));
  }

  void carry_out_actions() {
    while (watch_) {
      const std::optional<RunWatch::Action> action = watch_->next(clock_time(now_));
      if (!action) return wait_for_next_time();
      switch (action->kind) {
        case RunWatch::Action::Kind::replace:
          replace(action->loss);
          break;
        case RunWatch::Action::Kind::stop:
          coordinator_->stop(coordinator_links_);
          pump_coordinator();
          break;
        case RunWatch::Action::Kind::dismiss:
          return conclude();
        case RunWatch::Action::Kind::end:
          // Only a run with a request to stop may end early; it is resumed.
          if (watch_->signal() == 0) throw std::logic_error(watch_->failure()->message);
          return crash();
      }
    }
  }

  void wait_for_next_time() {
    if (watch_->next_time() == std::exchange(next_time_, watch_->next_time()) ||
        next_time_ == RunWatch::Time::max())
      return;
    after(
        static_cast<Time>((watch_->next_time() - clock_time(now_)) / std::chrono::microseconds(1)),
        [this, watch = watch_] {
          if (watch == watch_) carry_out_actions();
        });
  }

  void replace(Evidence loss) {
    const Coordinator::Replacement replacement = coordinator_->replace(loss.node, loss.detail);
    if (!replacement.generation) {
      if (loss.node != source_name) throw std::logic_error("a node was not replaced");
      loss.detail += replacement.refusal;
      return watch_->not_replaced(std::move(loss));
    }
    watch_->replaced(loss.node, *replacement.generation);
    const NodePtr old = nodes_[loss.node];
    if (old->alive && between(0, 1) == 0)
      end_of(old);
    else if (old->alive)
      paused_predecessors_.push_back(old);  // it could not be killed, and will continue later
    End& end = coordinator_links_.ends[loss.node];
    detach(end);
    end.edge = Edge(Stream(true), {.acknowledges = true});
    start_node(loss.node, *replacement.generation);
    pump_coordinator();
  }

  // ---- Links

  void link(End& a, const NodePtr& holder_a, End& b, const NodePtr& holder_b) {
    detach(a);
    detach(b);
    auto connection = std::make_shared<Connection>();
    connection->end[0] = &a;
    connection->end[1] = &b;
    connection->holder[0] = holder_a;
    connection->holder[1] = holder_b;
    for (const int side : {0, 1}) {
      End& end = *connection->end[side];
      end.connection = connection;
      end.side = side;
      end.edge.linked();
    }
    pump(a);
    pump(b);
  }

  /// This side closes its link; the other side is notified later.
  void detach(End& end) {
    if (!end.connection) return;
    const auto connection = std::exchange(end.connection, nullptr);
    end.edge.unlinked();
    cut(connection);
  }
  void cut(End& end) {
    if (end.connection) cut(end.connection);
  }
  /// Messages in flight are lost. Each side is notified after a delay of its own.
  void cut(const std::shared_ptr<Connection>& connection) {
    if (std::exchange(connection->broken, true)) return;
    for (const int side : {0, 1})
      after(between(0, 60 * ms), [this, connection, side] { find_out(connection, side); });
  }

  void find_out(const std::shared_ptr<Connection>& connection, int side) {
    const NodePtr& node = connection->holder[side];
    if (!node) {
      if (!coordinator_) return;  // its ends do not exist any more
      End& end = *connection->end[side];
      if (end.connection != connection) return;
      end.connection.reset();
      return end.edge.unlinked();
    }
    when_awake(node, [this, connection, side, node] {
      End& end = *connection->end[side];
      if (end.connection == connection) {
        end.connection.reset();
        end.edge.unlinked();
      }
      if (&end == &node->control) return connect_to_coordinator(node);
      for (auto& [peer, candidate] : node->ends)
        if (&candidate == &end) return dial(node, peer);
    });
  }

  void connect_to_coordinator(const NodePtr& node) {
    when_awake(node, [this, node] {
      if (node->control.connection) return;
      const auto current = nodes_.find(node->name);
      // As in Reception: another generation is refused, and ends.
      if (!coordinator_ || current == nodes_.end() || current->second != node) {
        node->alive = false;
        for (auto& [peer, end] : node->ends) cut(end);
        return;
      }
      link(node->control, node, coordinator_links_.ends.at(node->name), nullptr);
    });
  }

  void dial(const NodePtr& node, const std::string& name) {
    when_awake(node, [this, node, name] {
      const wire::Peer& peer = node->peers[name];
      if (!node->dials || !peer.dial() || node->ends.at(name).connection) return;
      const auto target = nodes_.find(name);
      // As in the handshake and Reception: both sides must expect this generation of the other.
      const bool welcome = target != nodes_.end() && awake(*target->second) &&
                           target->second->generation == peer.generation() &&
                           target->second->ends.contains(node->name) &&
                           target->second->peers[node->name].generation() == node->generation;
      if (!welcome) return after(redial_interval, [this, node, name] { dial(node, name); });
      link(node->ends.at(name), node, target->second->ends.at(node->name), target->second);
    });
  }

  /// Sends messages on the link as long as it has room.
  void pump(End& end) {
    while (end.connection) {
      const std::shared_ptr<Connection> connection = end.connection;
      const int to = 1 - end.side;
      if (connection->towards[to].size() >= in_flight_max) return;
      std::optional<Message> message = end.edge.next();
      if (!message) return;
      if (connection->broken) continue;  // this side has not been notified yet
      connection->towards[to].push_back(std::move(*message));
      connection->last[to] = std::max(connection->last[to], now_ + between(20, 800));
      after(connection->last[to] - now_, [this, connection, to] { arrive(connection, to); });
    }
  }

  void arrive(const std::shared_ptr<Connection>& connection, int side) {
    if (connection->broken) return;
    const NodePtr& node = connection->holder[side];
    const auto later = [&](Time delay) {
      after(delay, [this, connection, side] { arrive(connection, side); });
    };
    if (node && !node->alive) return;
    if (node && !awake(*node)) return later(node->paused_until - now_);
    End& end = *connection->end[side];
    std::deque<Message>& queue = connection->towards[side];
    if (!end.edge.has_room_for(queue.front())) return later(200);
    const Message message = std::move(queue.front());
    queue.pop_front();
    const bool twice = duplicates_ > 0 && message.header.sequence() > 0;
    if (twice) --duplicates_;
    for (int times = twice ? 2 : 1; times > 0; --times) end.edge.take(message);
    pump(end);
    if (node) {
      step(node);
    } else {
      ++bytes_received_[connection->holder[1 - side]->name];
      after(between(20, 200), [this] { converse(); });
    }
    // The other side has room again.
    const NodePtr& from = connection->holder[1 - side];
    End& sender = *connection->end[1 - side];
    if (connection->broken || sender.connection != connection) return;
    if (!from) return pump(sender);
    when_awake(from, [this, connection, from, side] {
      End& other = *connection->end[1 - side];
      if (other.connection == connection) pump(other);
      step(from);
    });
  }

  // ---- The coordinator

  void pump_coordinator() {
    for (auto& [name, end] : coordinator_links_.ends) pump(end);
  }

  void converse() {
    if (!coordinator_) return;
    for (auto& [name, end] : coordinator_links_.ends) {
      std::optional<Message> message = end.edge.read();
      if (!message) continue;
      const bool is_last = message->header.has_finished();
      const bool accepted = coordinator_->handle(name, watch_->generation(name),
                                                 std::move(*message), coordinator_links_);
      if (coordinator_->has_begun()) watch_->network_begun();
      if (is_last && accepted) watch_->finished(name);
      pump_coordinator();
      after(between(20, 200), [this] { converse(); });
      return carry_out_actions();
    }
  }

  /// All nodes have finished.
  void conclude() {
    coordinator_->end();
    run_.summary = coordinator_->conclude({});
    if (!run_.summary.complete) return crash();  // it was stopped by request: it is resumed
    std::ifstream probes{folder_ / "probes.csv"};
    run_.probes.assign(std::istreambuf_iterator<char>{probes}, {});
    over_ = true;
  }

  // ---- A node

  /// After each of its events.
  void step(const NodePtr& node) {
    if (!awake(*node)) return;
    NodeSession& session = node->session;
    while (session.takes_message()) {
      std::optional<Message> message = node->control.edge.read();
      if (!message) break;
      session.handle(std::move(*message));
    }
    if (std::optional<NodeSession::Task> task = session.next_task())
      work(node, between(50, 500), [node, run = std::move(task->run)] {
        run();
        node->session.task_done();
        ++node->network.tasks_finished_[node->name];
      });
    if (std::optional<std::function<void()>> copy = session.next_copy())
      work(node, between(20, 300), [node, run = std::move(*copy)] {
        run();
        node->session.copy_done();
      });
    pump(node->control);
    for (auto& [peer, end] : node->ends) pump(end);
  }

  void work(const NodePtr& node, Time time, std::function<void()> what) {
    after(time * node->slowness, [this, node, what] {
      when_awake(node, [this, node, what] {
        what();
        step(node);
      });
    });
  }

  // ---- Faults

  void fault() {
    if (faults_left_ == 0) return;
    after(between_faults(), [this] { fault(); });
    if (!coordinator_) return;  // between two sessions
    --faults_left_;
    const std::uint64_t kind = random_() % 100;
    if (kind < 25) {
      ++run_.faults["kill"];
      kill(random_node());
    } else if (kind < 26) {
      ++run_.faults["kill of all nodes"];
      for (const auto& [name, node] : std::map(nodes_)) kill(node);
    } else if (kind < 34) {
      ++run_.faults["kill of two neighbours"];
      const auto links = experiment_.topology.links();
      const auto [first, second] = links[random_() % links.size()];
      kill(nodes_[first]);
      kill(nodes_[second]);
    } else if (kind < 61) {
      ++run_.faults["cut"];
      const NodePtr node = random_node();
      const std::size_t which = random_() % (node->ends.size() + 1);
      cut(which == node->ends.size() ? node->control
                                     : std::next(node->ends.begin(), long(which))->second);
    } else if (kind < 73) {
      ++run_.faults["short pause"];
      pause(random_node(), between(1 * ms, 500 * ms));
    } else if (kind < 80) {
      ++run_.faults["long pause"];
      pause(random_node(), between(1600 * ms, 4000 * ms));
    } else if (kind < 87) {
      ++run_.faults["duplicates"];
      duplicates_ += 5;
    } else if (kind < 89) {
      ++run_.faults["slow node"];
      random_node()->slowness = 100;
    } else if (kind < 92) {
      ++run_.faults["lost syncs"];
      disk_.lose_syncs(2);
    } else if (kind < 98 && experiment_.steps_in_flight == 1) {
      // (With steps in flight a stop within an epoch changes bits.)
      ++run_.faults["stop"];
      if (between(0, 1) == 0)
        for (const auto& [name, node] : std::map(nodes_)) kill(node);
      after(between(0, 40 * ms), [this] {
        if (!watch_) return;
        watch_->signalled(SIGINT, clock_time(now_));
        carry_out_actions();
      });
    } else {
      ++run_.faults["crash"];
      crash();
    }
  }

  NodePtr random_node() {
    return std::next(nodes_.begin(), static_cast<long>(random_() % nodes_.size()))->second;
  }

  void kill(const NodePtr& node) {
    end_of(node);
    after(between(0, 1) == 0 ? between(10, 100) : between(1 * ms, 5 * ms),
          [this, watch = watch_, node] {
            if (watch != watch_) return;
            watch_->node_ended({node->name, node->generation, std::nullopt, "was killed"});
            carry_out_actions();
          });
  }

  /// Detected by RunWatch if the pause is too long.
  void pause(const NodePtr& node, Time time) {
    node->paused_until = std::max(node->paused_until, now_ + time);
    when_awake(node, [this, node] { step(node); });
  }

  const Experiment& experiment_;
  const DataSet& data_;
  std::mt19937_64 random_;
  SimulatedDisk disk_;
  Progress progress_{Progress::Style::quiet, 1};
  std::filesystem::path folder_;
  int faults_left_;
  std::uint64_t duplicates_ = 0;
  int syncs_before_ = 0;  // of folders, when the run was started anew
  Time now_ = 0;
  std::uint64_t event_number_ = 0;
  std::priority_queue<Event> events_;
  std::unique_ptr<RunPlan> plan_;
  std::unique_ptr<Coordinator> coordinator_;
  CoordinatorLinks coordinator_links_;
  std::map<std::string, NodePtr> nodes_;
  std::vector<NodePtr> paused_predecessors_, all_nodes_;
  std::map<std::string, std::uint64_t> tasks_finished_;
  std::shared_ptr<RunWatch> watch_;                      // of this session
  RunWatch::Time next_time_ = RunWatch::Time::max();     // for which a call is scheduled
  std::map<std::string, std::uint64_t> bytes_received_;  // of each node
  bool over_ = false;
  SimulatedRun run_;
};

}  // namespace lateral
