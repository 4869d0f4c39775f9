// Process: what a node computes and sends, as a function of the messages that it reads, in the
// order in which it asks for them.
#pragma once

#include <compare>
#include <string>

#include "nodes/base/name.hpp"
#include "transport/stream.hpp"

namespace lateral {

/// Where a process puts what it sends. Messages to one peer arrive in the order of the calls.
class Outbox {
 public:
  virtual ~Outbox() = default;
  /// Never blocks: what a process sends may leave while it still computes.
  virtual void send(const std::string& peer, Message message) = 0;
};

/// What a process does next.
struct Next {
  enum class Kind {
    receive,   ///< reads the next message of `peer`
    produce,   ///< continues without one: sends, or does work that no other node waits for
    finished,  ///< nothing more
  };
  Kind kind;
  std::string peer;
};

/// No socket, no clock, no thread inside: the same messages in the same order give the same
/// messages out, whichever process or machine it runs in. A process reads its peers in the fixed
/// order that next() gives, never in the order of arrival; that makes a run repeatable. It throws
/// NumericsError for numbers that are not finite and system_error for a peer that violates the
/// protocol.
class Process {
 public:
  virtual ~Process() = default;
  virtual Next next() const = 0;
  virtual void handle(const std::string& peer, Message message, Outbox& out) = 0;
  /// When next() is `produce`. `stop`: the run is to end after the present step.
  virtual void produce(bool stop, Outbox& out);
  /// A tensor of the state to start from.  Throws UserError if its name or shape is not expected.
  virtual void restore(const std::string& name, Message tensor);
  /// All tensors have been restored.
  virtual void restored() {}
  /// A copy of the tensor at this position of its state, for a snapshot.  REQUIRES: the process has
  /// announced more tensors than `position` for this snapshot (snapshot_part())
  virtual Message tensor(std::size_t position, const wire::Snapshot& snapshot);
  /// Whether its state changes in produce() alone, so that tensor() may be called from another
  /// thread during handle().
  virtual bool state_rests() const { return true; }
  /// Computes the bodies of sent messages again, so that they need not be retained; empty if they
  /// must be. May be called from any thread during the lifetime of the process.
  virtual Refill refill() { return {}; }
  /// Fills in what the coordinator needs before the run begins.
  virtual void describe(wire::Ready&) const {}
};

/// Reported to the coordinator when a node has received the marker of a snapshot. So many tensors
/// of its state follow.
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
