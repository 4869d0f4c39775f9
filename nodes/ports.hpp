// Ports: the bounded queues between a process, which computes, and its links, which wait.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nodes/process.hpp"
#include "transport/link.hpp"
#include "transport/task.hpp"

namespace lateral {

/// Messages of one peer that may wait to be read besides those of the batches in flight; beyond
/// that the link is not read, which slows the sender and loses nothing.
inline constexpr std::size_t incoming_spare = 2;
/// Messages to one peer that may wait to be sent before the process is given its next one. A single
/// handle() may add more (the probes of a step); they are its own memory, sent in order.
inline constexpr std::size_t outgoing_max = 2;

/// One link a peer, each with a coroutine that reads and one that writes. All but send() belongs to
/// the thread of the executor; send() may be called from the thread that computes.
///
/// Bounded queues in a cycle could lock; these cannot. A message goes back only in answer to one
/// that was read, a sender waits only before it reads its next message, never inside handle(), and
/// answers per peer never exceed what that peer has in flight, for which its queue has room.
class Ports final : public Outbox {
 public:
  ///   in_flight: messages that a peer may send before the first of them is read
  explicit Ports(const asio::any_io_executor& executor, std::size_t in_flight = 0)
      : executor_{executor}, incoming_max_{incoming_spare + in_flight}, changed_{executor} {}

  /// Before run(). The link's peer() is the name of the port.
  void add(std::unique_ptr<Link> link);
  /// Reads and writes all links. Never ends by itself; a link that fails is closed() from then on.
  awaitable<void> run();

  /// Queues; the message leaves while the caller computes. To a closed port: discarded.
  void send(const std::string& peer, Message message) override;
  /// The next message of this peer. Throws NetworkError once the port is closed and empty.
  awaitable<Message> receive(std::string peer);
  /// The next message of any peer, or nothing when a port has closed (once per port).
  awaitable<std::pair<std::string, std::optional<Message>>> receive_any();
  /// Returns when at most `waiting` messages to each peer wait to be sent.
  awaitable<void> sent_down_to(std::size_t waiting);
  /// Throws NetworkError when this port closes.
  awaitable<void> until_closed(std::string peer);
  /// What this peer sent that has not been read.
  std::optional<Message> try_receive(const std::string& peer);

  /// Bytes heard from a peer so far, heartbeats included.
  std::uint64_t heard(const std::string& peer) const {
    return ports_.at(peer)->link->bytes_received();
  }
  bool has(const std::string& peer) const { return ports_.contains(peer); }
  /// So much of what it sent waits to be read that its link is not being read.
  bool is_full(const std::string& peer) const {
    return ports_.at(peer)->incoming.size() >= incoming_max_;
  }
  bool has_unread(const std::string& peer) const { return !ports_.at(peer)->incoming.empty(); }
  bool closed(const std::string& peer) const { return ports_.at(peer)->closed; }
  std::uint64_t messages_sent() const;
  std::uint64_t bytes_sent() const;

 private:
  struct Port {
    Port(std::unique_ptr<Link> l, const asio::any_io_executor& executor)
        : link{std::move(l)}, incoming_changed{executor}, outgoing_changed{executor} {}
    std::unique_ptr<Link> link;
    std::deque<Message> incoming, outgoing;
    Changed incoming_changed, outgoing_changed;
    std::size_t sending = 0;  // taken from outgoing, not yet sent
    bool closed = false;
    bool closing_reported = false;
    std::string why_closed;
  };
  awaitable<void> read(Port& port);
  awaitable<void> write(Port& port);
  Message take(Port& port);
  void close(Port& port, const std::string& why);

  asio::any_io_executor executor_;
  std::size_t incoming_max_;
  std::map<std::string, std::shared_ptr<Port>> ports_;
  Changed changed_;          // of any port
  std::string served_last_;  // by receive_any(), which takes turns
};

}  // namespace lateral
