// NodeSession: the life of a node as a state machine: it decides, and somebody else waits.
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

/// Messages to one peer that may be unsent before the process is given its next one. A single
/// handle() may add more (the probes of a step); they are its own memory, sent in order.
inline constexpr std::size_t unsent_max = 2;

/// What a node needs to know to be linked to its peers.
struct NetworkPlan {
  struct Peer {
    wire::Peer peer;
    Stream stream;
  };
  std::vector<Peer> peers;
  std::size_t in_flight;       ///< messages that a peer may send before the first of them is read
  std::size_t body_bytes_max;  ///< largest body of a message from a peer
  bool recoverable;            ///< a broken link may be made again
};

/// The links of a node and their queues, as its session uses them. Nothing here waits. All but
/// send() belongs to the thread that waits.
class NodeLinks : public Outbox {
 public:
  /// Queues a message to a peer, or to the coordinator; from any thread.
  void send(const std::string& peer, Message message) override = 0;
  /// Once, before anything else that concerns a peer: from now on peers may connect.
  virtual void open(NetworkPlan plan) = 0;
  /// Connects to those peers that this node dials, now and whenever a link breaks.
  virtual void dial() = 0;
  /// Another generation of a peer has taken its place: the present link to it ends.
  virtual void replace(const wire::Peer& peer) = 0;
  /// Messages to this peer up to this number will not be asked for again.
  virtual void forget(const std::string& peer, std::uint64_t through) = 0;
  /// The next message that has come from a peer, if there is any.
  virtual std::optional<Message> read(const std::string& peer) = 0;
  /// The largest number of messages to one peer, and the number of those to the coordinator, that
  /// have not left.
  virtual std::size_t unsent_to_peers() const = 0;
  virtual std::size_t unsent_to_coordinator() const = 0;
  virtual bool all_linked() const = 0;
  /// Some peer has received what is sent to it now from a predecessor of this node.
  virtual bool is_replaying() const = 0;
  /// What the node has used and sent so far.
  virtual wire::Finished usage() const = 0;
};

/// Deterministic: the same events in the same order have the same consequences. What is done at
/// once goes to the NodeLinks; what takes time is handed out as a Task or a copy, one of each at a
/// time, and reported when it is done. After every event the caller asks for both again. An event
/// is: a message of the coordinator (handle), a message of a peer has come or has left, a link was
/// made or has broken (visible in the NodeLinks), a task or a copy is done.
///
///   listening   start()          the coordinator knows where peers can connect
///   preparing   Assignment       the process is made, and its tensors are restored one by one
///   prepared    Prepared is sent peers may connect
///   linking     Connect          dials; ready when all peers are linked
///   ready       Ready is sent
///   serving     Begin            the process handles and produces messages
///   finished    Finished is sent all has been sent; a peer that is replaced may still ask for it
///   leaving     Leave            nothing is left to do
class NodeSession {
 public:
  enum class State { listening, preparing, prepared, linking, ready, serving, finished, leaving };
  struct Node {
    std::string name;
    std::string digest;  ///< of the configuration that the node was started for
  };
  using MakeProcess =
      std::function<std::unique_ptr<Process>(const Experiment&, const wire::Assignment&)>;
  struct Task {
    enum class Kind {
      prepare,  ///< makes the process or restores a tensor
      handle,   ///< handles a message of a peer
      produce,  ///< work that no other node waits for: what was sent before should leave first
    };
    Kind kind;
    std::function<void()> run;  ///< to be called once, on any thread
  };

  /// `links` must outlive the session.
  NodeSession(Node node, MakeProcess make_process, NodeLinks& links, Log log = {});
  NodeSession(const NodeSession&) = delete;
  NodeSession& operator=(const NodeSession&) = delete;

  State state() const { return state_; }

  /// First of all. `address`: where peers can connect, empty within one process.
  void start(const std::string& address);
  /// Whether the next message of the coordinator can be handled now; otherwise it has to wait.
  bool takes_message() const;
  /// A message of the coordinator. Throws TransportError::unexpected_message if it does not belong
  /// to the present state, wrong_configuration if it is about another experiment.
  void handle(Message message);

  /// What is to be done next, if there is anything and the last task is done.
  std::optional<Task> next_task();
  void task_done();

  /// The next copy of a tensor, to be called on any thread, also during a task.
  std::optional<std::function<void()>> next_copy();
  void copy_done() { snapshots_.copy_done(); }
  /// next_copy() may have something to do.
  bool has_copies() const { return snapshots_.is_active(); }

 private:
  void assign(const wire::Assignment& assignment);
  void restore(Message tensor);
  void become_prepared();
  void become_ready();
  /// The next work of the process, or nothing while it has to wait.
  std::optional<Task> next_work();
  void finish();
  /// Forgets the messages that no peer can ask for, since no node restarts before that snapshot.
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
  std::optional<Task> preparation_;  // not handed out yet
  bool busy_ = false;                // a task has been handed out and is not done
  std::uint32_t tensors_left_ = 0;   // to be received
  bool stop_ = false;                // the coordinator has ordered the end of the run
  SnapshotSender snapshots_;
  std::deque<wire::SnapshotPart> passed_;  // snapshots that may still become durable, in order
  std::optional<SnapshotId> durable_;      // one that is not among passed_ yet
};

}  // namespace lateral
