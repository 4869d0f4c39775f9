// Two coroutines for each link, and the edges that they share with a process.
#include "nodes/runtime/ports.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <vector>

#include "nodes/base/failure.hpp"

namespace lateral {

Edge Ports::make_edge(Stream stream) const {
  return Edge(std::move(stream),
              {.acknowledges = params_.acknowledges, .in_flight = params_.in_flight});
}

void Ports::add(const std::string& peer, Stream stream) {
  ports_[peer] = std::make_shared<Port>(make_edge(std::move(stream)), executor_);
}

void Ports::attach(std::unique_ptr<Link> link) {
  Port& port = *ports_.at(link->peer());
  if (port.closed) return;
  break_link(port);
  port.next_link = std::move(link);
  port.incoming_changed.notify();
}

void Ports::detach(const std::string& peer) {
  Port& port = *ports_.at(peer);
  port.next_link.reset();
  break_link(port);
}

/// Ends the coroutines of the link, so that the next link is used.
void Ports::break_link(Port& port) {
  if (!port.link) return;
  port.dropping = true;
  port.link->close();
  port.incoming_changed.notify();
  port.outgoing_changed.notify();
}

void Ports::renew(const std::string& peer, Stream stream) {
  detach(peer);
  Port& port = *ports_.at(peer);
  port.edge = make_edge(std::move(stream));
  port.closed = port.closing_reported = port.had_link = false;
  port.incoming_changed.notify();
  notify_changed();
}

void Ports::close(const std::string& peer, const std::string& why) { close(*ports_.at(peer), why); }

void Ports::notify_changed() {
  changed_.notify();
  if (on_change_) on_change_();
}

awaitable<void> Ports::run() {
  std::vector<awaitable<void>> tasks;
  for (auto& [peer, port] : ports_) tasks.push_back(run(*port));
  co_await run_until_first_ends(std::move(tasks));
}

/// Serves one link after the other.
awaitable<void> Ports::run(Port& port) {
  for (;;) {  // ends only by cancellation
    co_await next_link(port);
    std::string failure;
    bool final = !params_.relinks;
    try {
      co_await transfer(port);
    } catch (const system_error& error) {
      // A link that was closed here in favour of another ends with the same error as a cancelled
      // one; if run() was cancelled, the next wait throws.
      failure = describe(error);
      // A peer that violates the protocol would do so again over a new link.
      final = final || (error.code().category() == transport_category() && !port.dropping);
    }
    drop_link(port);
    port.why_closed = failure;
    if (final) close(port, failure);
    port.incoming_changed.notify();
    notify_changed();
  }
}

awaitable<void> Ports::next_link(Port& port) {
  const auto until = std::chrono::steady_clock::now() + relink_max;
  while (!port.next_link || port.closed) {
    // The time for the first link is limited by connect_max.
    if (!params_.relinks || !port.had_link || port.closed) {
      co_await port.incoming_changed.wait();
      continue;
    }
    try {
      co_await with_deadline(until - std::chrono::steady_clock::now(),
                             port.incoming_changed.wait());
    } catch (const system_error& error) {
      if (error.code() != asio::error::timed_out) throw;
      close(port, fmt::format("{}, and it was not reconnected within {} s", port.why_closed,
                              relink_max.count()));
    }
  }
  port.link = std::move(port.next_link);
  port.had_link = true;
  port.edge.linked();
  port.dropping = false;
  notify_changed();
}

awaitable<void> Ports::transfer(Port& port) {
  std::vector<awaitable<void>> tasks;
  tasks.push_back(read_link(port));
  tasks.push_back(write_link(port));
  co_await run_until_first_ends(std::move(tasks));
}

awaitable<void> Ports::read_link(Port& port) {
  for (;;) {
    Message message = co_await port.link->receive();
    // It is received when there is room for it, and not if the link breaks before.
    while (!port.edge.has_room_for(message) && !port.dropping)
      co_await port.incoming_changed.wait();
    if (port.dropping) co_return;
    if (port.edge.take(std::move(message))) port.link_productive = true;
    port.incoming_changed.notify();
    port.outgoing_changed.notify();
    notify_changed();
  }
}

awaitable<void> Ports::write_link(Port& port) {
  try {
    co_await write_all(port);
  } catch (const system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
  }
  // The link has broken. Messages that the peer sent before are still read; then read_link() ends.
  for (;;) co_await port.outgoing_changed.wait();
}

awaitable<void> Ports::write_all(Port& port) {
  while (!port.dropping) {
    std::optional<Message> message = port.edge.next();
    if (!message) {
      co_await port.outgoing_changed.wait();
      continue;
    }
    const bool numbered = message->header.sequence() > 0;
    port.sending = 1;
    co_await port.link->send(std::move(*message));
    port.sending = 0;
    port.link_productive = port.link_productive || numbered;
    notify_changed();
  }
}

void Ports::drop_link(Port& port) {
  port.bytes_received += port.link->bytes_received();
  port.messages_sent += port.link->messages_sent();
  port.bytes_sent += port.link->bytes_sent();
  port.link.reset();
  port.unproductive_reconnects =
      std::exchange(port.link_productive, false) ? 0 : port.unproductive_reconnects + 1;
  port.edge.unlinked();
  port.sending = 0;
}

void Ports::close(Port& port, const std::string& why) {
  port.closed = true;
  port.why_closed = why;
  break_link(port);
  port.incoming_changed.notify();
  notify_changed();
}

void Ports::send(const std::string& peer, Message message) {
  // The set of ports is fixed while processes run; but with all nodes in one process, a posted
  // heartbeat may arrive after its port has been destroyed.
  const std::weak_ptr<Port> to = ports_.at(peer);
  auto shared = std::make_shared<Message>(std::move(message));
  asio::post(executor_, [to, shared] {
    const std::shared_ptr<Port> port = to.lock();
    if (port == nullptr || port->closed) return;
    port->edge.push(std::move(*shared));
    port->outgoing_changed.notify();
  });
}

void Ports::send_unsequenced(const std::string& peer, Message message) {
  Port& port = *ports_.at(peer);
  if (!port.link) return;
  port.edge.push_unsequenced(std::move(message));
  port.outgoing_changed.notify();
}

std::optional<Message> Ports::read(Port& port) {
  std::optional<Message> message = port.edge.read();
  if (message) port.incoming_changed.notify();  // there is room again
  return message;
}

awaitable<Message> Ports::receive(std::string peer) {
  Port& port = *ports_.at(peer);
  while (!port.edge.has_unread() && !port.closed) co_await port.incoming_changed.wait();
  std::optional<Message> message = read(port);
  if (!message) throw NetworkError(fmt::format("lost the link to {}: {}", peer, port.why_closed));
  co_return std::move(*message);
}

awaitable<std::pair<std::string, std::optional<Message>>> Ports::receive_any() {
  for (;;) {
    auto at = ports_.upper_bound(served_last_);
    for (std::size_t i = 0; i < ports_.size(); ++i, ++at) {
      if (at == ports_.end()) at = ports_.begin();
      Port& port = *at->second;
      const bool closing = !port.edge.has_unread() && port.closed && !port.closing_reported;
      if (!port.edge.has_unread() && !closing) continue;
      served_last_ = at->first;
      if (closing) port.closing_reported = true;
      std::pair<std::string, std::optional<Message>> received{at->first, read(port)};
      co_return received;
    }
    co_await changed_.wait();
  }
}

std::size_t Ports::unsent() const {
  std::size_t most = 0;
  for (const auto& [peer, port] : ports_) most = std::max(most, unsent(*port));
  return most;
}

awaitable<void> Ports::unsent_at_most(std::size_t count) {
  while (unsent() > count) co_await changed_.wait();
}

bool Ports::all_linked() const {
  return std::all_of(ports_.begin(), ports_.end(),
                     [](const auto& entry) { return entry.second->edge.resumed(); });
}

bool Ports::is_replaying() const {
  return std::any_of(ports_.begin(), ports_.end(),
                     [](const auto& entry) { return entry.second->edge.is_replaying(); });
}

awaitable<void> Ports::all_unlinked() {
  const auto is_linked = [](const auto& entry) { return entry.second->link != nullptr; };
  while (std::any_of(ports_.begin(), ports_.end(), is_linked)) co_await changed_.wait();
}

awaitable<void> Ports::until_closed(std::string peer) {
  Port& port = *ports_.at(peer);
  while (!port.closed) co_await port.incoming_changed.wait();
  throw NetworkError(fmt::format("lost the link to {}: {}", peer, port.why_closed));
}

bool Ports::needs_link(const std::string& peer) const {
  const Port& port = *ports_.at(peer);
  if (port.next_link || port.closed) return false;
  if (!port.link) return true;
  const std::optional<TcpState> state = port.link->tcp_state();
  return params_.relinks && state && has_stalled(*state, port.unproductive_reconnects);
}

void Ports::probe_link(const std::string& peer) {
  Message heartbeat;
  heartbeat.header.mutable_heartbeat();
  const Port& port = *ports_.at(peer);
  if (port.link && port.link->tcp_state()) send_unsequenced(peer, std::move(heartbeat));
}

std::uint64_t Ports::bytes_received(const std::string& peer) const {
  const Port& port = *ports_.at(peer);
  return port.bytes_received + (port.link ? port.link->bytes_received() : 0);
}

std::uint64_t Ports::messages_sent() const {
  std::uint64_t sum = 0;
  for (const auto& [peer, port] : ports_)
    sum += port->messages_sent + (port->link ? port->link->messages_sent() : 0);
  return sum;
}

std::uint64_t Ports::bytes_sent() const {
  std::uint64_t sum = 0;
  for (const auto& [peer, port] : ports_)
    sum += port->bytes_sent + (port->link ? port->link->bytes_sent() : 0);
  return sum;
}

}  // namespace lateral
