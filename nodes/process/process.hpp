// Process: what a node computes and sends, as a function of the messages that it reads in a fixed
// order.
#pragma once

#include <compare>
#include <string>

#include "nodes/base/name.hpp"
#include "transport/stream.hpp"

namespace lateral {

/// Receives the messages that a process sends. Messages to one peer arrive in the order of the
/// calls.
class Outbox {
 public:
  virtual ~Outbox() = default;
  /// Never blocks: messages may be transmitted while the process still computes.
  virtual void send(const std::string& peer, Message message) = 0;
};

/// What a process does next.
struct Next {
  enum class Kind {
    receive,   ///< reads the next message of `peer`
    produce,   ///< continues without one: sends, or does work that no other node waits for
    finished,  ///< reads and sends nothing more
  };
  Kind kind;
  std::string peer;
};

/// Has no socket, clock or thread: equal input messages in equal order result in equal output
/// messages, on every machine of a kind. A process reads its peers in the fixed order that next()
/// gives, never in the order of arrival; that makes a run repeatable. It throws NumericsError for
/// numbers that are not finite and system_error for a peer that violates the protocol.
class Process {
 public:
  virtual ~Process() = default;
  virtual Next next() const = 0;
  virtual void handle(const std::string& peer, Message message, Outbox& out) = 0;
  /// To be called when next() is `produce`. `stop`: the run is to end after the current step.
  virtual void produce(bool stop, Outbox& out);
  /// A tensor of the state to start from.  Throws UserError if its name or shape is not expected.
  virtual void restore(const std::string& name, Message tensor);
  /// All tensors have been restored.
  virtual void restored() {}
  /// A copy of the tensor at this position of its state, for a snapshot.  REQUIRES: the process has
  /// announced more tensors than `position` for this snapshot (snapshot_part())
  virtual Message tensor(std::size_t position, const wire::Snapshot& snapshot);
  /// Whether handle() does not change the state (only produce() does), so that tensor() may be
  /// called from another thread during handle().
  virtual bool handle_keeps_state() const { return true; }
  /// Computes the bodies of sent messages again, so that they need not be retained; empty if they
  /// must be. May be called from any thread during the lifetime of the process.
  virtual Refill refill() { return {}; }
  /// Fills in the fields of Ready that the coordinator needs before the run begins.
  virtual void describe(wire::Ready&) const {}
};

/// The report that a node has received the marker of a snapshot. `tensors` of its state follow.
Message snapshot_part(const wire::Snapshot& snapshot, std::size_t tensors = 0);

/// Identifies a snapshot within a run. The final one may be of the same step as the one before it.
struct SnapshotId {
  explicit SnapshotId(const wire::Snapshot& snapshot)
      : step{snapshot.step()}, epoch{snapshot.epoch()}, final{snapshot.final()} {}
  auto operator<=>(const SnapshotId&) const = default;
  std::uint64_t step, epoch;
  bool final;
};

}  // namespace lateral
