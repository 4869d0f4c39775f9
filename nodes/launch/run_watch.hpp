// RunWatch: decides, from what is seen of the nodes of a run, which are lost, and when the run
// stops or ends.
#pragma once

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

/// Between two looks at all nodes, which send heartbeats as often.
inline constexpr std::chrono::milliseconds watch_interval{100};

/// How long a node may seem to do nothing before it is lost. Counted in looks of ours, so that a
/// machine or a terminal that was suspended does not make all nodes seem silent.
struct SilenceLimits {
  std::chrono::milliseconds silence{1500};  ///< of a node that is linked
  /// Until a node that was started calls, or one whose link broke calls again.
  std::chrono::milliseconds start{10000};
  /// A node that sends heartbeats hangs if one piece of work takes longer than this, and so many
  /// times as long as any before.
  std::uint32_t work_ms = 60000;
  std::uint32_t work_factor = 20;
};

/// Time in which the cause of a failure may turn up after its first sign; and up to so many times
/// as long while messages that a lost node sent still wait to be handled.
inline constexpr std::chrono::milliseconds evidence_wait{150};
inline constexpr int evidence_waits_max = 6;
/// Time for a network to come to the end of its batch and hand over its state after Ctrl-C.
inline constexpr std::chrono::seconds stop_max{60};

/// What the coordinator sees of its link to a node.
struct LinkState {
  bool linked = false;
  bool closed = false;            ///< for good
  bool is_full = false;           ///< so much waits to be handled that the link is not being read
  bool has_unread = false;        ///< messages wait to be handled
  std::uint64_t bytes_heard = 0;  ///< so far, heartbeats included
  wire::Heartbeat heartbeat;      ///< the last one
};

/// The end of a node's process, as its launcher tells it.
struct NodeEnd {
  std::string node;
  std::uint32_t generation = 0;
  std::optional<int> exit_code;  ///< none: killed
  std::string description;       ///< "(pid 17) was killed by signal 9 (Killed)"
};

/// Events and times in, actions out; it neither waits nor acts. Lost nodes are to be replaced;
/// where that is refused, or something else than a loss went wrong, the run is to end.
class RunWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using LookAtLink = std::function<LinkState(const std::string& node)>;

  struct Action {
    enum class Kind {
      replace,  ///< the lost node; answer with replaced() or not_replaced()
      stop,     ///< let the network stop after the batch at hand
      dismiss,  ///< all nodes have finished and may leave
      end,      ///< the run: see failure()
    };
    Kind kind;
    Evidence loss{};  ///< of the node to replace
  };

  /// `limits`: none where a node cannot fall silent alone.
  RunWatch(std::vector<std::string> nodes, std::optional<SilenceLimits> limits, LookAtLink look);

  /// Of the process of this node whose messages count.
  std::uint32_t generation(const std::string& node) const { return generation_.at(node); }

  // ---- Events
  /// After every watch_interval.
  void tick();
  void link_closed(const std::string& node);
  void node_ended(const NodeEnd& end);
  void failed(const std::string& node, const wire::Failed& failure);
  /// The coordinator begins or ends to handle a message.
  void handling(bool now) { handling_ = now; }
  void network_begun() { begun_ = true; }
  void finished(const std::string& node) { finished_.insert(node); }
  /// SIGINT, SIGTERM or SIGHUP.
  void signalled(int number, Time now);
  void replaced(const std::string& node, std::uint32_t generation);
  /// `loss.detail`: with the reason of the refusal.
  void not_replaced(Evidence loss) { evidence_.push_back(std::move(loss)); }

  // ---- What follows from them
  /// Each action once; end remains.
  std::optional<Action> next(Time now);
  /// When to ask next() again although nothing has happened.
  Time next_time() const;
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
  void tick(const std::string& node);
  void add(Evidence item);
  bool more_may_turn_up() const;

  std::vector<std::string> nodes_;
  std::optional<SilenceLimits> limits_;
  LookAtLink look_;
  std::map<std::string, std::uint32_t> generation_;
  std::map<std::string, Silence> silence_;
  std::set<std::string> finished_;
  std::deque<Evidence> lost_;       // nodes to replace
  std::vector<Evidence> evidence_;  // that the run is to end
  bool handling_ = false, begun_ = false, dismissed_ = false;
  int signal_ = 0;
  bool stop_due_ = false;
  Time give_up_at_ = Time::max();
  Time evidence_at_ = Time::max();  // when to look for more of it
  int evidence_waits_ = 0;
};

}  // namespace lateral
