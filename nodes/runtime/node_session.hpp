// NodeSession: the states of a node during a run, as a state machine that never waits.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nodes/base/log.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/process/process.hpp"
#include "nodes/runtime/router.hpp"
#include "nodes/runtime/snapshot_sender.hpp"

namespace lateral {

/// Messages to one peer that may be unsent when a task begins. A single handle() may add more (the
/// probes of a step).
inline constexpr std::size_t unsent_max = 2;

/// The peers of a node, and the parameters of its links to them.
struct NetworkPlan {
  struct Peer {
    wire::Peer peer;
    Stream stream;
  };
  std::vector<Peer> peers;
  std::size_t in_flight;       ///< messages that a peer may send before the first of them is read
  std::size_t body_bytes_max;  ///< largest body of a message from a peer
  bool recoverable;            ///< a broken link may be reconnected
};

/// The links of a node and their queues, as its session uses them. No function waits. All functions
/// except send() are called on the event-loop thread.
class NodeLinks : public Outbox {
 public:
  /// Queues a message to a peer, or to the coordinator; from any thread.
  void send(const std::string& peer, Message message) override = 0;
  /// To be called once, before any other function that concerns peers: from now on peers may
  /// connect.
  virtual void open(NetworkPlan plan) = 0;
  /// Connects to those peers that this node dials, now and whenever a link breaks.
  virtual void dial() = 0;
  /// A peer has been replaced by another generation: the present link to it is closed.
  virtual void replace(const wire::Peer& peer) = 0;
  /// Messages to this peer up to this number will not be needed again.
  virtual void forget(const std::string& peer, std::uint64_t through) = 0;
  /// The next received message of a peer, if there is one.
  virtual std::optional<Message> read(const std::string& peer) = 0;
  /// The largest number of unsent messages to one peer, and the number of those to the coordinator.
  virtual std::size_t unsent_to_peers() const = 0;
  virtual std::size_t unsent_to_coordinator() const = 0;
  virtual bool all_linked() const = 0;
  /// Some peer has received the messages that are sent to it now from a predecessor of this node.
  virtual bool is_replaying() const = 0;
  /// Resources used and messages sent since the start.
  virtual wire::Finished usage() const = 0;
};

/// Deterministic: equal events in equal order have equal effects. Actions without computation are
/// calls of the NodeLinks; computations are returned as a Task or a copy, at most one of each at a
/// time, and their end is reported to the session. After every event the caller calls next_task()
/// and next_copy(). Events are: a message of the coordinator (handle()); a message of a peer was
/// received or sent, a link was established or broke (visible in the NodeLinks); a task or a copy
/// is done.
///
///   listening   start()          the address has been sent to the coordinator
///   preparing   Assignment       the process is made, and its tensors are restored one by one
///   prepared    Prepared is sent peers may connect
///   linking     Connect          dials; ready when all peers are linked
///   ready       Ready is sent
///   serving     Begin            the process handles and produces messages
///   finished    Finished is sent all has been sent; a peer that is replaced may need it again
///   leaving     Leave            the session is over
class NodeSession {
 public:
  enum class State { listening, preparing, prepared, linking, ready, serving, finished, leaving };
  struct Node {
    std::string name;
    std::string digest;  ///< of the configuration that the node was started for
    std::uint32_t generation = 0;
  };
  using MakeProcess =
      std::function<std::unique_ptr<Process>(const Experiment&, const wire::Assignment&)>;
  struct Task {
    enum class Kind {
      prepare,  ///< makes the process or restores a tensor
      handle,   ///< handles a message of a peer
      produce,  ///< work that no other node waits for: earlier messages should be sent first
    };
    Kind kind;
    std::function<void()> run;  ///< to be called once, on any thread
  };

  /// `links` must outlive the session.
  NodeSession(Node node, MakeProcess make_process, NodeLinks& links, Log log = {});
  NodeSession(const NodeSession&) = delete;
  NodeSession& operator=(const NodeSession&) = delete;

  State state() const { return state_; }

  /// To be called first. `address`: at which peers connect, empty within one process.
  void start(const std::string& address);
  /// Whether the next message of the coordinator can be handled now.
  bool takes_message() const;
  /// A message of the coordinator. Throws TransportError::unexpected_message if it is not valid in
  /// the present state, wrong_configuration if it is for another experiment.
  void handle(Message message);

  /// The next task, if there is one and the last one is done.
  std::optional<Task> next_task();
  void task_done();

  /// The next copy of a tensor, to be called on any thread, also during a task.
  std::optional<std::function<void()>> next_copy();
  void copy_done() { snapshots_.copy_done(); }
  /// Some tensors have not been copied yet.
  bool has_copies() const { return snapshots_.is_active(); }

 private:
  void assign(const wire::Assignment& assignment);
  void restore(Message tensor);
  void become_prepared();
  void become_ready();
  /// The next task of the process, if it does not have to wait.
  std::optional<Task> next_work();
  void finish();
  /// Discards messages from before this snapshot: no node restarts before it.
  void forget_before(const SnapshotId& snapshot);
  [[noreturn]] void throw_unexpected() const;

  Node node_;
  MakeProcess make_process_;
  NodeLinks& links_;
  Log log_;
  State state_ = State::listening;
  wire::Assignment assignment_;
  std::optional<Experiment> experiment_;
  std::unique_ptr<Process> process_;
  std::optional<Router> router_;
  std::optional<Task> preparation_;  // not returned yet
  bool busy_ = false;                // a task has been returned and is not done
  std::uint32_t tensors_left_ = 0;   // still to be received
  bool stop_ = false;                // the coordinator has sent Stop
  SnapshotSender snapshots_;
  std::deque<wire::SnapshotPart> passed_;  // snapshots that may still become durable, in order
  std::optional<SnapshotId> durable_;      // one that is not among passed_ yet
};

}  // namespace lateral
