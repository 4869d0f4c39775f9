// Ports: the bounded queues between a process, which computes, and its peers, over as many
// connections as it takes.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nodes/process/process.hpp"
#include "transport/edge.hpp"
#include "transport/link.hpp"
#include "transport/task.hpp"

namespace lateral {

/// Messages of one peer that may wait to be read besides those of the batches in flight; beyond
/// that the link is not read, which slows the sender and loses nothing.
inline constexpr std::size_t incoming_spare = 2;
/// Messages to one peer that may wait to be sent before the process is given its next one. A single
/// handle() may add more (the probes of a step); they are its own memory, sent in order.
inline constexpr std::size_t outgoing_max = 2;
/// Time for a broken link to be made again before the peer is given up: also where the peer is
/// replaced and has to load its data first. That a peer is gone the coordinator finds far earlier.
inline constexpr std::chrono::seconds relink_max{300};
struct PortsParams {
  std::size_t in_flight = 0;  ///< messages that a peer may send before the first of them is read
  bool relinks = false;       ///< a broken link may be made again; otherwise its port is closed
  bool acknowledges = false;  ///< tells the peer what has come, so that it need not be kept
};

/// A port a peer, each with a stream of numbered messages and, most of the time, a link that
/// carries it. All but send() and mark() belongs to the thread of the executor; those may be called
/// from any thread.
///
/// Bounded queues in a cycle could lock; these cannot. A message goes back only in answer to one
/// that was read, a sender waits only before it reads its next message, never inside handle(), and
/// answers per peer never exceed what that peer has in flight, for which its queue has room. What
/// a node that replaces another says again is dropped without needing room.
class Ports final : public Outbox {
 public:
  explicit Ports(const asio::any_io_executor& executor, const PortsParams& params = {})
      : executor_{executor}, params_{params}, changed_{executor} {}

  /// Before run(): a peer, and where its stream begins; what makes bodies again that need not be
  /// kept.
  void add(const std::string& peer, Stream stream, Refill refill = {});
  /// A link to a peer that was added, in the place of the one it had.
  void attach(std::unique_ptr<Link> link);
  /// Another process has taken the peer's place, over whose links the same stream goes on.
  void detach(const std::string& peer);
  /// The same, and nothing is known of it: its stream begins anew.
  void renew(const std::string& peer, Stream stream);
  /// No link to this peer is to be expected any more.
  void close(const std::string& peer, const std::string& why);
  /// Reads and writes all links. Never ends by itself.
  awaitable<void> run();

  /// Queues; the message leaves while the caller computes. To a closed port: discarded.
  void send(const std::string& peer, Message message) override;
  /// Sent once, on the link that there is, ahead of what waits; not numbered, and not kept.
  void send_aside(const std::string& peer, Message message);
  /// The next message of this peer. Throws NetworkError once the port is closed and empty.
  awaitable<Message> receive(std::string peer);
  /// The next message of any peer, or nothing when a port has closed (once per port).
  awaitable<std::pair<std::string, std::optional<Message>>> receive_any();
  /// Returns when at most `waiting` messages to each peer wait to be sent.
  awaitable<void> sent_down_to(std::size_t waiting);
  /// Returns when all peers are linked.
  awaitable<void> all_linked();
  /// What is sent now to some peer has come there already, from a predecessor.
  bool says_again() const;
  /// Returns when no peer is.
  awaitable<void> all_unlinked();
  /// Throws NetworkError when this port closes.
  awaitable<void> until_closed(std::string peer);

  /// Remembers how much has been sent to each peer when all that was sent before has been queued.
  void mark(const std::string& name);
  /// What was sent before that mark need not be kept.
  void forget_before(const std::string& name);

  /// Bytes heard from a peer so far, heartbeats included.
  std::uint64_t heard(const std::string& peer) const;
  /// The last one of this peer.
  const wire::Heartbeat& heartbeat(const std::string& peer) const {
    return ports_.at(peer)->edge.heartbeat();
  }
  /// So much of what it sent waits to be read that its link is not being read.
  bool is_full(const std::string& peer) const {
    return ports_.at(peer)->incoming.size() >= incoming_max();
  }
  bool has_unread(const std::string& peer) const { return !ports_.at(peer)->incoming.empty(); }
  bool linked(const std::string& peer) const { return ports_.at(peer)->link != nullptr; }
  /// Has no link, or one that has stalled, is not about to get one, and is not closed.
  bool wants_link(const std::string& peer) const;
  /// A word over a link that might stall, which shows only where something is under way.
  void nudge(const std::string& peer);
  bool closed(const std::string& peer) const { return ports_.at(peer)->closed; }
  std::uint64_t messages_sent() const;
  std::uint64_t bytes_sent() const;

 private:
  struct Port {
    Port(Edge e, const asio::any_io_executor& executor)
        : edge{std::move(e)}, incoming_changed{executor}, outgoing_changed{executor} {}
    Edge edge;
    std::unique_ptr<Link> link, next_link;
    std::deque<Message> incoming;
    Changed incoming_changed, outgoing_changed;
    bool dropping = false;  // nothing that the link still brings counts
    std::size_t sending = 0;
    bool had_link = false;
    bool link_useful = false;  // has brought a message over
    int vain_links = 0;        // in a row before this one, that were not useful
    bool closed = false;
    bool closing_reported = false;
    std::string why_closed;
    // over earlier links
    std::uint64_t heard = 0, messages_sent = 0, bytes_sent = 0;
  };
  std::size_t incoming_max() const { return incoming_spare + params_.in_flight; }
  awaitable<void> tend(Port& port);
  awaitable<void> carry(Port& port);
  awaitable<void> next_link(Port& port);
  awaitable<void> read(Port& port);
  awaitable<void> write(Port& port);
  awaitable<void> write_all(Port& port);
  static Message take(Port& port);
  static void break_link(Port& port);
  static void drop_link(Port& port);
  void close(Port& port, const std::string& why);

  asio::any_io_executor executor_;
  PortsParams params_;
  std::map<std::string, std::shared_ptr<Port>> ports_;
  Changed changed_;          // of any port
  std::string served_last_;  // by receive_any(), which takes turns
};

}  // namespace lateral
