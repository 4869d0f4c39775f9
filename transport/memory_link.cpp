// Two bounded queues shared by the two ends of a link.
#include "transport/memory_link.hpp"

#include <boost/asio/error.hpp>
#include <deque>

#include "transport/task.hpp"

namespace lateral {
namespace {

struct Pipe {
  explicit Pipe(const asio::any_io_executor& executor) : changed{executor} {}
  std::deque<Message> messages;
  bool closed = false;
  Changed changed;
};

class MemoryLink final : public Link {
 public:
  MemoryLink(std::string peer, std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out)
      : Link{std::move(peer)}, in_{std::move(in)}, out_{std::move(out)} {}
  ~MemoryLink() override { close_pipes(); }

  awaitable<void> send(Message message) override {
    while (!out_->closed && out_->messages.size() >= memory_link_capacity)
      co_await out_->changed.wait();
    if (out_->closed) throw system_error(asio::error::broken_pipe, peer());
    count_sent(frame_prefix_bytes + message.header.ByteSizeLong() + message.body.bytes());
    out_->messages.push_back(std::move(message));
    out_->changed.notify();
  }

  awaitable<Message> receive() override {
    while (!in_->closed && in_->messages.empty()) co_await in_->changed.wait();
    if (in_->messages.empty()) throw system_error(asio::error::eof, peer());
    Message message = std::move(in_->messages.front());
    in_->messages.pop_front();
    in_->changed.notify();
    count_received(frame_prefix_bytes + message.body.bytes());
    // The same checks as over a socket, so that both kinds of link behave equally.
    std::size_t values = message.header.shape_size() == 0 ? 0 : 1;
    for (const std::uint32_t extent : message.header.shape()) values *= extent;
    if (message.header.ByteSizeLong() > limits_.header_bytes_max)
      throw_transport(TransportError::header_too_large, peer());
    if (message.body.bytes() > limits_.body_bytes_max)
      throw_transport(TransportError::body_too_large, peer());
    if (values != message.body.size()) throw_transport(TransportError::shape_mismatch, peer());
    co_return message;
  }

  void close() override { close_pipes(); }
  void set_limits(const FrameLimits& limits) override { limits_ = limits; }

 private:
  void close_pipes() {
    in_->closed = out_->closed = true;
    in_->changed.notify();
    out_->changed.notify();
  }

  std::shared_ptr<Pipe> in_, out_;
  FrameLimits limits_ = handshake_limits;
};

}  // namespace

std::pair<std::unique_ptr<Link>, std::unique_ptr<Link>> make_memory_links(
    const asio::any_io_executor& executor, const std::string& a, const std::string& b) {
  auto forward = std::make_shared<Pipe>(executor);
  auto backward = std::make_shared<Pipe>(executor);
  return {std::make_unique<MemoryLink>(b, backward, forward),
          std::make_unique<MemoryLink>(a, forward, backward)};
}

}  // namespace lateral
