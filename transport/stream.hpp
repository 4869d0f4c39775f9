// Stream: the numbered messages between two nodes, each taken once and in order, over as many
// connections as it takes.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>

#include "transport/message.hpp"

namespace lateral {

/// Bytes that one stream keeps of what has left, messages with their bodies; the oldest go first,
/// and with them the chance that the peer be brought up to date.
inline constexpr std::size_t kept_bytes_max = std::size_t{1} << 30;

/// Makes the body of a message again, from its header.
using Refill = std::function<Block(const wire::Header&)>;

/// One node's end, without any input or output. What it has sent it keeps, if `keeps`, until it is
/// told to forget it: so a new connection, or a peer that begins again from an earlier point, is
/// brought up to date.
class Stream {
 public:
  /// `sent` and `received`: so many messages went before.
  explicit Stream(bool keeps = false, std::uint64_t sent = 0, std::uint64_t received = 0)
      : keeps_{keeps}, sent_{sent}, handed_{sent}, forgotten_{sent}, received_{received} {}

  // ---- Sending
  /// From now on bodies are not kept, but made again when they are needed.
  void refill_by(Refill refill) { refill_ = std::move(refill); }
  /// Gives the message the next number.
  void push(Message message);
  /// Messages that no connection has been given yet.
  std::size_t waiting() const { return handed_ < sent_ ? sent_ - handed_ : 0; }
  /// The next of them.  REQUIRES: waiting() > 0
  Message next();
  /// A new connection, on whose other side all up to `received` has come. That may be more than has
  /// been sent, by a node that says again what its predecessor said.
  /// Throws TransportError::out_of_sequence if what comes next is not kept any more.
  void resume(std::uint64_t received);
  /// Nobody will ask for messages up to this one again.
  void forget(std::uint64_t through);

  // ---- Receiving
  /// Whether to take the message of this number: false if it has come before.
  /// Throws TransportError::out_of_sequence if one is missing before it.
  bool accept(std::uint64_t sequence);

  /// What is pushed now has come already, from a predecessor.
  bool says_again() const { return handed_ > sent_; }
  std::uint64_t sent() const { return sent_; }
  std::uint64_t received() const { return received_; }
  std::size_t kept_bytes() const { return kept_bytes_; }

 private:
  void drop_first();
  void drop_body(Message& kept);

  bool keeps_;
  std::uint64_t sent_;       // number of the last message pushed
  std::uint64_t handed_;     // of the last that a connection was given; may be ahead of sent_
  std::uint64_t forgotten_;  // of the last that is not kept
  std::uint64_t received_;
  std::deque<Message> kept_;  // forgotten_ + 1 … sent_
  std::size_t kept_bytes_ = 0;
  Refill refill_;
};

}  // namespace lateral
