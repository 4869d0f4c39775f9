// Edge: one node's end of the exchange of messages with a peer, over successive links.
#pragma once

#include <deque>
#include <optional>

#include "transport/stream.hpp"

namespace lateral {

/// An acknowledgement is sent at the latest after this number of messages, or of bytes.
inline constexpr std::uint64_t unacknowledged_max = 64;
inline constexpr std::size_t unacknowledged_bytes_max = std::size_t{1} << 20;
/// Messages of a peer that may wait to be read besides those that it may have in flight.
inline constexpr std::size_t incoming_spare = 2;

struct EdgeParams {
  bool acknowledges = false;  ///< received messages are acknowledged, so that the peer can discard them
  std::size_t in_flight = 0;  ///< messages that the peer may send before the first of them is read
};

/// A stream, the bounded queue of what was received on it, and the messages about it, without any
/// input or output. On every new link both sides first send the number of the last message that
/// they have received (Resume), and continue from there.
class Edge {
 public:
  explicit Edge(Stream stream = Stream(), const EdgeParams& params = {})
      : stream_{std::move(stream)}, params_{params} {}

  // ---- The link
  /// There is a new link. Messages in flight on an older one are lost.
  void linked();
  /// The link has closed.
  void unlinked() { resumed_ = false; }
  /// The peer's Resume has been received: messages of the stream can be sent.
  bool resumed() const { return resumed_; }

  // ---- Sending
  /// Queues a message of the stream.
  void push(Message message) { stream_.push(std::move(message)); }
  /// Queues a message outside the stream: it is sent at most once, on the present link, ahead of
  /// the stream. It replaces one that still waits.
  void push_unsequenced(Message message);
  /// The next message to send on the link, if there is one.
  std::optional<Message> next();
  /// Messages pushed that have not been sent on any link yet.
  std::size_t unsent() const { return stream_.unsent(); }
  /// See Stream.
  bool is_replaying() const { return stream_.is_replaying(); }
  void forget(std::uint64_t through) { stream_.forget(through); }

  // ---- Receiving
  /// Whether take() can be called for this message: the queue has room for it, or it is not queued.
  bool has_room_for(const Message& message) const {
    return message.header.sequence() != stream_.received() + 1 || !is_full();
  }
  /// Takes a message from the link: queues it if it is the peer's next one (then true), drops it if
  /// it has been received before, and handles it if it is about the link. Throws
  /// TransportError::unexpected_message, or out_of_sequence if a message is missing before it or if
  /// the peer lacks one that is not retained.  REQUIRES: has_room_for(message)
  bool take(Message message);
  /// The next message of the queue, if there is any.
  std::optional<Message> read();
  bool has_unread() const { return !incoming_.empty(); }
  bool is_full() const { return incoming_.size() >= incoming_spare + params_.in_flight; }
  /// The last heartbeat of the peer.
  const wire::Heartbeat& heartbeat() const { return heartbeat_; }

 private:
  Stream stream_;
  EdgeParams params_;
  std::deque<Message> incoming_;
  std::optional<Message> unsequenced_;
  bool resume_due_ = false;  // to be sent
  bool resumed_ = false;
  bool acknowledge_due_ = false;
  std::uint64_t acknowledged_ = 0;
  std::size_t unacknowledged_bytes_ = 0;
  wire::Heartbeat heartbeat_;
};

}  // namespace lateral
