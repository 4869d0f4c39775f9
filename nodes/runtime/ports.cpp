// Two coroutines a link, and the queues that they share with a process.
#include "nodes/runtime/ports.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "nodes/base/failure.hpp"

namespace lateral {

void Ports::add(const std::string& peer, Stream stream, Refill refill) {
  stream.refill_by(std::move(refill));
  ports_[peer] = std::make_shared<Port>(Edge(std::move(stream), params_.acknowledges), executor_);
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

/// Its coroutines end, and the next one has its turn.
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
  port.edge = Edge(std::move(stream), params_.acknowledges);
  port.incoming.clear();
  port.closed = port.closing_reported = port.had_link = false;
  port.incoming_changed.notify();
  changed_.notify();
}

void Ports::close(const std::string& peer, const std::string& why) { close(*ports_.at(peer), why); }

awaitable<void> Ports::run() {
  std::vector<awaitable<void>> tasks;
  for (auto& [peer, port] : ports_) tasks.push_back(tend(*port));
  co_await run_until_first_ends(std::move(tasks));
}

/// One link after the other, as long as there are any.
awaitable<void> Ports::tend(Port& port) {
  for (;;) {  // run() ends only from outside
    co_await next_link(port);
    std::string failure;
    bool final = !params_.relinks;
    try {
      co_await carry(port);
    } catch (const system_error& error) {
      // A link that was closed here to make room for another ends like one that is cancelled with
      // all of run(); then the next wait throws.
      failure = describe(error);
      // What a peer gets wrong it will get wrong again.
      final = final || (error.code().category() == transport_category() && !port.dropping);
    }
    drop_link(port);
    port.why_closed = failure;
    if (final) close(port, failure);
    port.incoming_changed.notify();
    changed_.notify();
  }
}

awaitable<void> Ports::next_link(Port& port) {
  const auto until = std::chrono::steady_clock::now() + relink_max;
  while (!port.next_link || port.closed) {
    // The first one is somebody else's to wait for.
    if (!params_.relinks || !port.had_link || port.closed) {
      co_await port.incoming_changed.wait();
      continue;
    }
    try {
      co_await with_deadline(until - std::chrono::steady_clock::now(),
                             port.incoming_changed.wait());
    } catch (const system_error& error) {
      if (error.code() != asio::error::timed_out) throw;
      close(port, port.why_closed + ", and it has not come back within " +
                      std::to_string(relink_max.count()) + " s");
    }
  }
  port.link = std::move(port.next_link);
  port.had_link = true;
  port.edge.linked();
  port.dropping = false;
  changed_.notify();
}

awaitable<void> Ports::carry(Port& port) {
  std::vector<awaitable<void>> tasks;
  tasks.push_back(read(port));
  tasks.push_back(write(port));
  co_await run_until_first_ends(std::move(tasks));
}

awaitable<void> Ports::read(Port& port) {
  for (;;) {
    Message message = co_await port.link->receive();
    // It counts as come when there is room for it, and not if the link breaks before.
    if (port.edge.is_due(message))
      while (port.incoming.size() >= incoming_max() && !port.dropping)
        co_await port.incoming_changed.wait();
    if (port.dropping) co_return;
    if (std::optional<Message> taken = port.edge.take(std::move(message))) {
      port.incoming.push_back(std::move(*taken));
      port.link_useful = true;
    }
    port.incoming_changed.notify();
    port.outgoing_changed.notify();
    changed_.notify();
  }
}

awaitable<void> Ports::write(Port& port) {
  try {
    co_await write_all(port);
  } catch (const system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
  }
  // The peer is gone. What it sent before is still to be read; read() finds the end.
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
    port.link_useful = port.link_useful || numbered;
    changed_.notify();
  }
}

void Ports::drop_link(Port& port) {
  port.heard += port.link->bytes_received();
  port.messages_sent += port.link->messages_sent();
  port.bytes_sent += port.link->bytes_sent();
  port.link.reset();
  port.vain_links = std::exchange(port.link_useful, false) ? 0 : port.vain_links + 1;
  port.edge.unlinked();
  port.sending = 0;
}

void Ports::close(Port& port, const std::string& why) {
  port.closed = true;
  port.why_closed = why;
  break_link(port);
  port.incoming_changed.notify();
  changed_.notify();
}

void Ports::send(const std::string& peer, Message message) {
  // The set of ports is fixed while processes run; but a heartbeat may still be on its way to a
  // port whose node has just ended, within a process that goes on.
  const std::weak_ptr<Port> to = ports_.at(peer);
  auto shared = std::make_shared<Message>(std::move(message));
  asio::post(executor_, [to, shared] {
    const std::shared_ptr<Port> port = to.lock();
    if (port == nullptr || port->closed) return;
    port->edge.push(std::move(*shared));
    port->outgoing_changed.notify();
  });
}

void Ports::send_aside(const std::string& peer, Message message) {
  Port& port = *ports_.at(peer);
  if (!port.link) return;
  port.edge.push_aside(std::move(message));
  port.outgoing_changed.notify();
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
      if (!port->closed && port->edge.waiting() + port->sending > waiting) return true;
    return false;
  };
  while (above()) co_await changed_.wait();
}

awaitable<void> Ports::all_linked() {
  const auto unlinked = [&] {
    for (const auto& [peer, port] : ports_)
      if (!port->edge.resumed()) return true;
    return false;
  };
  while (unlinked()) co_await changed_.wait();
}

bool Ports::says_again() const {
  return std::any_of(ports_.begin(), ports_.end(),
                     [](const auto& entry) { return entry.second->edge.says_again(); });
}

awaitable<void> Ports::all_unlinked() {
  const auto linked = [&] {
    for (const auto& [peer, port] : ports_)
      if (port->link) return true;
    return false;
  };
  while (linked()) co_await changed_.wait();
}

awaitable<void> Ports::until_closed(std::string peer) {
  Port& port = *ports_.at(peer);
  while (!port.closed) co_await port.incoming_changed.wait();
  throw NetworkError("lost the link to " + peer + ": " + port.why_closed);
}

bool Ports::wants_link(const std::string& peer) const {
  const Port& port = *ports_.at(peer);
  if (port.next_link || port.closed) return false;
  if (!port.link) return true;
  const std::optional<TcpState> state = port.link->tcp_state();
  return params_.relinks && state && has_stalled(*state, port.vain_links);
}

void Ports::nudge(const std::string& peer) {
  Message nudge;
  nudge.header.mutable_heartbeat();
  const Port& port = *ports_.at(peer);
  if (port.link && port.link->tcp_state()) send_aside(peer, std::move(nudge));
}

void Ports::mark(const std::string& name) {
  for (const auto& [peer, port] : ports_) {
    const std::weak_ptr<Port> at = port;
    asio::post(executor_, [at, name] {
      if (const std::shared_ptr<Port> here = at.lock()) here->edge.mark(name);
    });
  }
}

void Ports::forget_before(const std::string& name) {
  for (const auto& [peer, port] : ports_) port->edge.forget_before(name);
}

std::uint64_t Ports::heard(const std::string& peer) const {
  const Port& port = *ports_.at(peer);
  return port.heard + (port.link ? port.link->bytes_received() : 0);
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
