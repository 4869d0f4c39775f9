// Stream: the numbered messages between two nodes, each delivered once and in order, over one
// connection after another.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>

#include "transport/message.hpp"

namespace lateral {

/// Bytes of sent messages, with their bodies, that one stream retains. Beyond that the oldest are
/// discarded, and a peer that needs them can no longer be replaced.
inline constexpr std::size_t retained_bytes_max = std::size_t{1} << 30;

/// Computes the body of a sent message again, from its header.
using Refill = std::function<Block(const wire::Header&)>;

/// One node's end of the stream, without any input or output. It retains what it has sent, if
/// `retains`, until forget(): so they can be sent on a new connection, or to a peer that restarts
/// from an earlier point.
class Stream {
 public:
  /// Whether this node replaces one that may have sent, and received, more than is known here.
  enum class Origin { first, replacement };
  /// `sent` and `received`: numbers of the last messages that a predecessor sent and received.
  explicit Stream(bool retains = false, std::uint64_t sent = 0, std::uint64_t received = 0,
                  Origin origin = Origin::first)
      : retains_{retains},
        origin_{origin},
        sent_{sent},
        transmitted_{sent},
        forgotten_{sent},
        received_{received} {}

  // ---- Sending
  /// From now on bodies are not retained, but computed again when they are needed.
  void refill_by(Refill refill) { refill_ = std::move(refill); }
  /// Gives the message the next number.
  void push(Message message);
  /// Messages that have not been sent on any connection yet.
  std::size_t unsent() const { return transmitted_ < sent_ ? sent_ - transmitted_ : 0; }
  /// The next of them, to be sent on the connection.  REQUIRES: unsent() > 0
  Message next();
  /// There is a new connection, whose other side has received all messages up to `received`. That
  /// may be more than has been pushed here, if this node repeats what its predecessor has sent.
  /// Throws TransportError::out_of_sequence if the next message is not retained any more, or nobody
  /// can have sent so many.
  void resume(std::uint64_t received);
  /// Messages up to this number will not be needed again.
  void forget(std::uint64_t through);

  // ---- Receiving
  /// Whether the message of this number is new: false if it has been received before.
  /// Throws TransportError::out_of_sequence if one is missing before it.
  bool accept(std::uint64_t sequence);

  /// The peer has received from a predecessor of this node what is pushed now.
  bool is_replaying() const { return transmitted_ > sent_; }
  std::uint64_t sent() const { return sent_; }
  std::uint64_t received() const { return received_; }
  std::size_t retained_bytes() const { return retained_bytes_; }

 private:
  void drop_first();
  void drop_body(Message& message);

  bool retains_;
  Origin origin_;
  std::uint64_t sent_;         // number of the last message pushed
  std::uint64_t transmitted_;  // of the last sent on a connection; may be ahead of sent_
  std::uint64_t forgotten_;    // of the last that is not retained
  std::uint64_t received_;
  std::deque<Message> retained_;  // forgotten_ + 1 … sent_
  std::size_t retained_bytes_ = 0;
  Refill refill_;
};

}  // namespace lateral
