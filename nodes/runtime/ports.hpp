// Ports: the bounded queues between a process, which computes, and its peers, over as many
// connections as it takes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "nodes/process/process.hpp"
#include "transport/edge.hpp"
#include "transport/link.hpp"
#include "transport/task.hpp"

namespace lateral {

/// Time for a broken link to be made again before the peer is given up. It includes that the peer
/// is replaced and has to load its data first; that it is lost the coordinator finds far earlier.
inline constexpr std::chrono::seconds relink_max{300};

struct PortsParams {
  std::size_t in_flight = 0;  ///< messages that a peer may send before the first of them is read
  bool relinks = false;       ///< a broken link may be made again; otherwise its port is closed
  bool acknowledges = false;  ///< tells the peer what was received, so that it can forget it
};

/// One port a peer, each with an edge and, most of the time, a link that carries it. All but send()
/// belongs to the thread of the executor.
///
/// Bounded queues in a cycle can deadlock; these cannot. A message goes back only in answer to one
/// that was read, a sender waits only before it reads its next message, never inside handle(), and
/// answers per peer never exceed what that peer has in flight, for which its queue has room. What a
/// node that replaces another repeats is dropped without needing room.
class Ports final : public Outbox {
 public:
  explicit Ports(const asio::any_io_executor& executor, const PortsParams& params = {})
      : executor_{executor}, params_{params}, changed_{executor} {}

  /// Before run(): a peer, and where its stream begins.
  void add(const std::string& peer, Stream stream);
  /// Called whenever a message has come or has left, or a link was made or has broken.
  void on_change(std::function<void()> callback) { on_change_ = std::move(callback); }
  /// A link to a peer that was added, in place of its present one.
  void attach(std::unique_ptr<Link> link);
  /// Another process has taken the peer's place, over whose links the same stream continues.
  void detach(const std::string& peer);
  /// Another process has taken the peer's place, and its stream begins anew.
  void renew(const std::string& peer, Stream stream);
  /// No link to this peer is to be expected any more.
  void close(const std::string& peer, const std::string& why);
  /// Reads and writes all links. Never ends by itself.
  awaitable<void> run();

  /// Queues; the message leaves while the caller computes. To a closed port: discarded. May be
  /// called from any thread.
  void send(const std::string& peer, Message message) override;
  /// Outside the stream, on the present link, if there is one: see Edge::push_unsequenced().
  void send_unsequenced(const std::string& peer, Message message);
  /// What was sent to this peer up to this number will not be asked for again.
  void forget(const std::string& peer, std::uint64_t through) {
    ports_.at(peer)->edge.forget(through);
  }
  /// The largest number of messages to one peer that have not left.
  std::size_t unsent() const;
  /// Returns when unsent() is at most `count`.
  awaitable<void> unsent_at_most(std::size_t count);

  /// The next message of this peer that has come, if there is any.
  std::optional<Message> read(const std::string& peer) { return read(*ports_.at(peer)); }
  /// The next message of this peer. Throws NetworkError once the port is closed and empty.
  awaitable<Message> receive(std::string peer);
  /// The next message of any peer, or nothing when a port has closed (once per port).
  awaitable<std::pair<std::string, std::optional<Message>>> receive_any();

  /// All peers are linked, and the streams have been resumed.
  bool all_linked() const;
  /// Returns when no peer is linked.
  awaitable<void> all_unlinked();
  /// Throws NetworkError when this port closes.
  awaitable<void> until_closed(std::string peer);
  /// See Edge: true of some peer.
  bool is_replaying() const;

  /// Bytes received from a peer so far, heartbeats included.
  std::uint64_t heard(const std::string& peer) const;
  /// The last one of this peer.
  const wire::Heartbeat& heartbeat(const std::string& peer) const {
    return ports_.at(peer)->edge.heartbeat();
  }
  /// So many of its messages wait to be read that its link is not being read.
  bool is_full(const std::string& peer) const { return ports_.at(peer)->edge.is_full(); }
  bool has_unread(const std::string& peer) const { return ports_.at(peer)->edge.has_unread(); }
  bool linked(const std::string& peer) const { return ports_.at(peer)->link != nullptr; }
  bool closed(const std::string& peer) const { return ports_.at(peer)->closed; }
  /// A new link should be made: there is none, or one that has stalled, none is about to be used,
  /// and the port is not closed.
  bool needs_link(const std::string& peer) const;
  /// Sends a heartbeat over a TCP link: that a link has stalled shows only while something is under
  /// way.
  void probe_link(const std::string& peer);
  std::uint64_t messages_sent() const;
  std::uint64_t bytes_sent() const;

 private:
  struct Port {
    Port(Edge e, const asio::any_io_executor& executor)
        : edge{std::move(e)}, incoming_changed{executor}, outgoing_changed{executor} {}
    Edge edge;
    std::unique_ptr<Link> link, next_link;
    Changed incoming_changed, outgoing_changed;
    bool dropping = false;  // what the link still brings is ignored
    std::size_t sending = 0;
    bool had_link = false;
    bool link_productive = false;     // has carried a message of the stream
    int unproductive_reconnects = 0;  // links in a row before this one that were not productive
    bool closed = false;
    bool closing_reported = false;
    std::string why_closed;
    // over earlier links
    std::uint64_t heard = 0, messages_sent = 0, bytes_sent = 0;
  };
  Edge make_edge(Stream stream) const;
  awaitable<void> run(Port& port);
  awaitable<void> next_link(Port& port);
  awaitable<void> transfer(Port& port);
  awaitable<void> read_link(Port& port);
  awaitable<void> write_link(Port& port);
  awaitable<void> write_all(Port& port);
  static std::optional<Message> read(Port& port);
  static void break_link(Port& port);
  static void drop_link(Port& port);
  void close(Port& port, const std::string& why);
  void notify_changed();
  std::size_t unsent(const Port& port) const {
    return port.closed ? 0 : port.edge.unsent() + port.sending;
  }

  asio::any_io_executor executor_;
  PortsParams params_;
  std::map<std::string, std::shared_ptr<Port>> ports_;
  Changed changed_;  // any port
  std::function<void()> on_change_;
  std::string served_last_;  // by receive_any(), which takes turns
};

}  // namespace lateral
