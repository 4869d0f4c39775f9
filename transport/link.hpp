// Link: an ordered, lossless, bidirectional connection for messages to one peer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "transport/asio.hpp"
#include "transport/frame.hpp"
#include "transport/tcp.hpp"

namespace lateral {

/// One coroutine sends and one receives at a time; both on the thread of the link's executor.
/// After a failure or a cancelled operation a link is broken and only close() may follow.
class Link {
 public:
  explicit Link(std::string peer) : peer_{std::move(peer)} {}
  virtual ~Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// Completes when the message has left this process or is in the peer's bounded queue.
  virtual awaitable<void> send(Message message) = 0;
  /// The next message. Throws system_error: asio::error::eof when the peer has closed, or a
  /// TransportError when what it sent is not acceptable.
  virtual awaitable<Message> receive() = 0;
  virtual void close() = 0;
  /// Limits of what receive() accepts from now on.
  virtual void set_limits(const FrameLimits& limits) = 0;
  /// The state of a connection that may fail without notice (TCP); nothing for other kinds.
  virtual std::optional<TcpState> tcp_state() const { return std::nullopt; }
  /// Bytes that only the two ends of this TLS connection know; empty without TLS.
  virtual std::string channel_binding() const { return {}; }

  const std::string& peer() const { return peer_; }
  void set_peer(std::string name) { peer_ = std::move(name); }
  std::uint64_t messages_sent() const { return messages_sent_; }
  std::uint64_t bytes_sent() const { return bytes_sent_; }
  /// Includes the bytes of a message that has been received in part.
  std::uint64_t bytes_received() const { return bytes_received_; }

 protected:
  void count_sent(std::size_t bytes) {
    ++messages_sent_;
    bytes_sent_ += bytes;
  }
  void count_received(std::size_t bytes) { bytes_received_ += bytes; }

 private:
  std::string peer_;
  std::uint64_t messages_sent_ = 0;
  std::uint64_t bytes_sent_ = 0;
  std::uint64_t bytes_received_ = 0;
};

}  // namespace lateral
