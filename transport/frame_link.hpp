// FrameLink: frames over any byte stream of Asio. A message leaves with one gather write; a body is
// read into its final place.
#pragma once

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <utility>
#include <vector>

#include "transport/link.hpp"

namespace lateral {

/// A large body is read in pieces of this size, so that bytes_received() shows its progress.
inline constexpr std::size_t read_bytes_max = std::size_t{1} << 18;

/// Starts with handshake_limits.
template <class Stream>
class FrameLink : public Link {
 public:
  FrameLink(Stream stream, std::string peer) : Link{std::move(peer)}, stream_{std::move(stream)} {}

  awaitable<void> send(Message message) override {
    const std::string head = encode_head(message);
    const std::array<asio::const_buffer, 2> buffers{
        asio::buffer(head), asio::buffer(message.body.data(), message.body.bytes())};
    co_await asio::async_write(stream_, buffers, use_awaitable);
    count_sent(head.size() + message.body.bytes());
  }

  awaitable<Message> receive() override {
    std::array<std::uint8_t, frame_prefix_bytes> prefix_bytes;
    const asio::mutable_buffer prefix_buffer = asio::buffer(prefix_bytes);
    co_await asio::async_read(stream_, prefix_buffer, use_awaitable);
    count_received(frame_prefix_bytes);
    const FramePrefix prefix = decode_prefix(prefix_bytes, limits_, peer());

    header_bytes_.resize(prefix.header_bytes);
    const asio::mutable_buffer header_buffer = asio::buffer(header_bytes_);
    co_await asio::async_read(stream_, header_buffer, use_awaitable);
    Message message;
    message.header = decode_header(header_bytes_, prefix.body_bytes, limits_, peer());

    if (prefix.body_bytes > 0) {
      message.body = Block(prefix.body_bytes / sizeof(float));
      asio::mutable_buffer remaining = asio::buffer(message.body.data(), prefix.body_bytes);
      while (remaining.size() > 0) {
        const asio::mutable_buffer piece = asio::buffer(remaining, read_bytes_max);
        co_await asio::async_read(stream_, piece, use_awaitable);
        count_received(piece.size());
        remaining += piece.size();
      }
    }
    co_return message;
  }

  void close() override {
    error_code ignored;
    stream_.lowest_layer().close(ignored);
  }

  void set_limits(const FrameLimits& limits) override { limits_ = limits; }
  std::optional<TcpState> tcp_state() const override {
    // native_handle() is not const, but changes nothing.
    return lateral::tcp_state(const_cast<FrameLink*>(this)->stream_.lowest_layer().native_handle());
  }

 protected:
  Stream& stream() { return stream_; }

 private:
  Stream stream_;
  FrameLimits limits_ = handshake_limits;
  std::vector<std::uint8_t> header_bytes_;
};

}  // namespace lateral
