// RunWatch: decides, from the observed events of a run, which nodes are lost, and when the run
// stops or ends.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "nodes/launch/verdict.hpp"
#include "proto/wire.pb.h"

namespace lateral {

/// Between two checks of all nodes, which send heartbeats at the same interval.
inline constexpr std::chrono::milliseconds watch_interval{100};

/// When an inactive node counts as lost. Time is counted in checks, so that nodes do not seem
/// silent after a machine or a terminal was suspended.
struct SilenceLimits {
  /// Of a node that is linked. With many nodes on one processor each waits longer for its turn:
  /// nodes above nodes_per_processor add to it.
  std::chrono::milliseconds silence{1500};
  std::chrono::milliseconds silence_per_node{20};  ///< and processor
  std::size_t nodes_per_processor = 16;
  /// Until a node that was started connects, or a node whose link broke reconnects; as long as
  /// others connect, it does not count.
  std::chrono::milliseconds start{10000};
  /// A node that sends heartbeats counts as lost if one task takes longer than this and than
  /// work_factor times the longest task before.
  std::uint32_t work_ms = 60000;
  std::uint32_t work_factor = 20;
  /// A network that has begun counts as stuck if for this time, and for work_factor times the
  /// longest task of all nodes but one, fewer than two nodes have finished a task or delivered a
  /// message: one that is alive and useless, whatever it says of itself, must not hold a run for
  /// ever.
  std::chrono::milliseconds progress{600'000};
  /// The same before it has begun, when nodes load data and state, during which nothing is
  /// finished.
  std::chrono::milliseconds preparation{3'600'000};
};

/// Time to wait for evidence of the cause after the first sign of a failure; repeated up to
/// evidence_waits_max times while messages of a failed node still wait to be handled.
inline constexpr std::chrono::milliseconds evidence_wait{150};
inline constexpr int evidence_waits_max = 6;
/// Signals that follow the first within this time are the same request: `timeout` signals a program
/// and its group.
inline constexpr std::chrono::milliseconds same_request{300};
/// Time for a network to complete its batch and send its state after Ctrl-C.
inline constexpr std::chrono::seconds stop_max{60};

/// What the coordinator sees of its link to a node.
struct LinkState {
  bool linked = false;
  bool closed = false;      ///< permanently
  bool is_full = false;     ///< the queue of received messages is full: the link is not being read
  bool has_unread = false;  ///< messages wait to be handled
  std::uint64_t bytes_received = 0;  ///< since the start, heartbeats included
  wire::Heartbeat heartbeat;         ///< the last one
};

/// The end of a node's process, as its launcher reports it.
struct NodeEnd {
  std::string node;
  std::uint32_t generation = 0;
  std::optional<int> exit_code;  ///< none: killed
  std::string description;       ///< "(pid 17) was killed by signal 9 (Killed)"
  enum class Cause {
    other,
    crash,          ///< by its own fault, such as an access to memory that it does not have
    out_of_memory,  ///< the kernel killed it to free memory
  } cause = Cause::other;
};

/// A node that crashes so often in a run is not replaced again: it would crash again.
inline constexpr int crashes_max = 3;

/// Receives events and times, and returns actions; it neither waits nor acts. Lost nodes are to be
/// replaced; if that is refused, or a node has failed for another reason, the run is to end.
class RunWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using GetLinkState = std::function<LinkState(const std::string& node)>;

  struct Action {
    enum class Kind {
      replace,  ///< the lost node; answer with replaced() or not_replaced()
      stop,     ///< let the network stop after the current batch
      dismiss,  ///< all nodes have finished and may leave
      end,      ///< the run: see failure()
    };
    Kind kind;
    Evidence loss{};  ///< of the node to replace
  };

  /// `limits`: none where a single node cannot become silent. `processors`: that the nodes share.
  RunWatch(std::vector<std::string> nodes, std::optional<SilenceLimits> limits,
           GetLinkState link_state, std::size_t processors = 1);

  /// The generation of this node whose messages are accepted.
  std::uint32_t generation(const std::string& node) const { return generation_.at(node); }

  // ---- Events
  /// This node is started later: until started() it is not missed.
  void will_start(const std::string& node) { not_started_.insert(node); }
  void started(const std::string& node) { not_started_.erase(node); }
  /// After every watch_interval.
  void tick();
  void link_closed(const std::string& node);
  void node_ended(const NodeEnd& end);
  void failed(const std::string& node, const wire::Failed& failure);
  /// The coordinator begins or ends to handle a message of this node.
  void handling(const std::string& node, bool now) {
    handling_ = now;
    ++progress_[node].handled;
  }
  void network_begun() { begun_ = true; }
  void finished(const std::string& node) { finished_.insert(node); }
  /// SIGINT, SIGTERM or SIGHUP.
  void signalled(int number, Time now);
  void replaced(const std::string& node, std::uint32_t generation);
  /// `loss.detail`: with the reason of the refusal.
  void not_replaced(Evidence loss) { evidence_.push_back(std::move(loss)); }

  // ---- Decisions
  /// The next action. Each is returned once, except `end`.
  std::optional<Action> next(Time now);
  /// When to call next() again if there is no event before.
  Time next_time() const;
  /// Whether this node has failed in a way that ends the run.
  bool has_failed(const std::string& node) const {
    return std::any_of(evidence_.begin(), evidence_.end(),
                       [&](const Evidence& item) { return item.node == node; });
  }
  bool all_finished() const { return finished_.size() == nodes_.size(); }
  int signal() const { return signal_; }  ///< the last one; 0: none
  /// Why the run ended, if it failed.
  std::optional<Failure> failure() const;

 private:
  struct Silence {
    std::uint32_t generation = 0;
    std::uint64_t bytes = 0;
    int ticks = 0;
  };
  /// What a node has done.
  struct Progress {
    std::uint64_t handled = 0;     ///< events of its messages
    std::uint64_t seen = 0;        ///< handled and finished tasks, at the last tick
    std::uint64_t longest_ms = 0;  ///< of its tasks, as it says
    int idle_ticks = 0;            ///< since `seen` changed
  };
  void tick(const std::string& node, bool others_connect);
  void note_progress(const std::string& node, const wire::Heartbeat& heartbeat);
  void check_progress();
  /// Silence that a linked node is allowed.
  std::chrono::milliseconds silence_max() const;
  void add(Evidence item);
  bool more_evidence_possible() const;

  std::vector<std::string> nodes_;
  std::optional<SilenceLimits> limits_;
  GetLinkState link_state_;
  std::size_t processors_;
  std::map<std::string, std::uint32_t> generation_;
  std::map<std::string, Silence> silence_;
  std::map<std::string, Progress> progress_;
  std::map<std::string, int> crashes_;
  std::set<std::string> finished_, not_started_;
  std::optional<std::size_t> linked_;  // nodes, at the last tick
  std::deque<Evidence> lost_;          // nodes to replace
  std::vector<Evidence> evidence_;     // of failures that end the run
  bool handling_ = false, begun_ = false, dismissed_ = false;
  int signal_ = 0;
  Time signalled_at_ = Time::min();  // the first time
  bool stop_due_ = false;
  Time end_at_ = Time::max();
  Time evidence_due_ = Time::max();  // when to check for more of it
  int evidence_waits_ = 0;
};

}  // namespace lateral
