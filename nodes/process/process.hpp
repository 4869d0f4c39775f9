// Process: a node's decisions, a function of the messages that it reads, in the order it asks for.
#pragma once

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
    produce,   ///< goes on by itself: sends, or does work that nobody waits for
    finished,  ///< nothing any more
  };
  Kind kind;
  std::string peer;
};

/// No socket, no clock, no thread inside: the same messages in the same order give the same
/// messages out, whichever process or machine it runs in. A process reads its peers in the fixed
/// order that next() gives, never "whichever came first"; that is what makes a run repeatable.
/// It throws NumericsError for numbers that went wrong and system_error for a peer that
/// broke the protocol.
class Process {
 public:
  virtual ~Process() = default;
  virtual Next next() const = 0;
  virtual void handle(const std::string& peer, Message message, Outbox& out) = 0;
  /// When next() says produce. `stop`: the coordinator wants the run to end.
  virtual void produce(bool stop, Outbox& out);
  /// A piece of state to start from.  Throws UserError if it is unknown or misshapen.
  virtual void restore(const std::string& name, Message tensor);
  /// All pieces have been restored.
  virtual void restored() {}
  /// A copy of the tensor of its state that is at this position, for a snapshot. No tensor past the
  /// last.
  virtual Message tensor(std::size_t position, const wire::Snapshot& snapshot);
  /// Whether its state changes in produce() alone, so that tensor() may be called from another
  /// thread beside handle().
  virtual bool state_rests() const { return true; }
  /// Makes the body of a message that it has sent again, so that it need not be kept; nothing where
  /// it must be. To be called from any thread, and not after the process is gone.
  virtual Refill refill() { return {}; }
  /// What the coordinator should know before the run begins.
  virtual void describe(wire::Ready&) const {}
};

/// What a node reports when a snapshot's marker passes. So many tensors of its state follow.
Message snapshot_part(const wire::Snapshot& snapshot, std::size_t tensors = 0);
/// Tells the snapshots of a run apart. One at its end may be of the same step as the one before.
std::string snapshot_name(const wire::Snapshot& snapshot);

}  // namespace lateral
