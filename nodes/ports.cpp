// Two coroutines a link, and the queues that they share with a process.
#include "nodes/ports.hpp"

#include <boost/asio/post.hpp>

#include "nodes/failure.hpp"

namespace lateral {

void Ports::add(std::unique_ptr<Link> link) {
  std::string peer = link->peer();
  ports_[std::move(peer)] = std::make_shared<Port>(std::move(link), executor_);
}

awaitable<void> Ports::run() {
  std::vector<awaitable<void>> tasks;
  for (auto& [peer, port] : ports_) {
    tasks.push_back(read(*port));
    tasks.push_back(write(*port));
  }
  co_await run_until_first_ends(std::move(tasks));
}

awaitable<void> Ports::read(Port& port) {
  while (!port.closed) {
    while (port.incoming.size() >= incoming_max_) co_await port.incoming_changed.wait();
    std::string failure;
    try {
      Message message = co_await port.link->receive();
      if (message.header.has_heartbeat()) continue;
      port.incoming.push_back(std::move(message));
    } catch (const system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      failure = describe(error);
    }
    if (!failure.empty()) close(port, failure);
    port.incoming_changed.notify();
    changed_.notify();
  }
  for (;;) co_await port.incoming_changed.wait();  // run() ends only from outside
}

awaitable<void> Ports::write(Port& port) {
  for (;;) {
    while (port.outgoing.empty()) co_await port.outgoing_changed.wait();
    Message message = std::move(port.outgoing.front());
    port.outgoing.pop_front();
    port.sending = 1;
    bool failed = port.closed;
    if (!failed) {
      try {
        co_await port.link->send(std::move(message));
      } catch (const system_error& error) {
        // read() closes the link when it finds that the peer is gone; anything else that aborts a
        // write is the end of run().
        if (error.code() == asio::error::operation_aborted && !port.closed) throw;
        failed = true;
      }
    }
    port.sending = 0;
    // What the peer sent before it went is still to be read; only our side gives up here.
    if (failed) port.outgoing.clear();
    changed_.notify();
  }
}

void Ports::close(Port& port, const std::string& why) {
  port.closed = true;
  port.why_closed = why;
  port.outgoing.clear();
  port.link->close();
}

void Ports::send(const std::string& peer, Message message) {
  // The set of ports is fixed while processes run; but a heartbeat may still be on its way to a
  // port whose node has just ended, within a process that goes on.
  const std::weak_ptr<Port> to = ports_.at(peer);
  auto shared = std::make_shared<Message>(std::move(message));
  asio::post(executor_, [to, shared] {
    const std::shared_ptr<Port> port = to.lock();
    if (port == nullptr || port->closed) return;
    port->outgoing.push_back(std::move(*shared));
    port->outgoing_changed.notify();
  });
}

Message Ports::take(Port& port) {
  Message message = std::move(port.incoming.front());
  port.incoming.pop_front();
  port.incoming_changed.notify();
  return message;
}

awaitable<Message> Ports::receive(std::string peer) {
  Port& port = *ports_.at(peer);
  while (port.incoming.empty() && !port.closed) co_await port.incoming_changed.wait();
  if (port.incoming.empty())
    throw NetworkError("lost the link to " + peer + ": " + port.why_closed);
  co_return take(port);
}

std::optional<Message> Ports::try_receive(const std::string& peer) {
  Port& port = *ports_.at(peer);
  if (port.incoming.empty()) return std::nullopt;
  return take(port);
}

awaitable<std::pair<std::string, std::optional<Message>>> Ports::receive_any() {
  for (;;) {
    auto at = ports_.upper_bound(served_last_);
    for (std::size_t i = 0; i < ports_.size(); ++i, ++at) {
      if (at == ports_.end()) at = ports_.begin();
      Port& port = *at->second;
      const bool closing = port.incoming.empty() && port.closed && !port.closing_reported;
      if (port.incoming.empty() && !closing) continue;
      served_last_ = at->first;
      std::pair<std::string, std::optional<Message>> received{at->first, std::nullopt};
      if (closing)
        port.closing_reported = true;
      else
        received.second = take(port);
      co_return received;
    }
    co_await changed_.wait();
  }
}

awaitable<void> Ports::sent_down_to(std::size_t waiting) {
  const auto above = [&] {
    for (const auto& [peer, port] : ports_)
      if (!port->closed && port->outgoing.size() + port->sending > waiting) return true;
    return false;
  };
  while (above()) co_await changed_.wait();
}

awaitable<void> Ports::until_closed(std::string peer) {
  Port& port = *ports_.at(peer);
  while (!port.closed) co_await port.incoming_changed.wait();
  throw NetworkError("lost the link to " + peer + ": " + port.why_closed);
}

std::uint64_t Ports::messages_sent() const {
  std::uint64_t sum = 0;
  for (const auto& [peer, port] : ports_) sum += port->link->messages_sent();
  return sum;
}

std::uint64_t Ports::bytes_sent() const {
  std::uint64_t sum = 0;
  for (const auto& [peer, port] : ports_) sum += port->link->bytes_sent();
  return sum;
}

}  // namespace lateral
