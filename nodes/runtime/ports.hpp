// Ports: the bounded queues between a process and its peers, over successive connections.
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

/// Time for a broken link to be reconnected before its port is closed. It includes the replacement
/// of the peer, which has to load its data first; the coordinator detects lost nodes far earlier.
inline constexpr std::chrono::seconds relink_max{300};

struct PortsParams {
  std::size_t in_flight = 0;  ///< messages that a peer may send before the first of them is read
  bool relinks = false;       ///< a broken link may be reconnected; otherwise its port is closed
  bool acknowledges = false;  ///< see EdgeParams
};

/// One port for each peer, with an edge and, while connected, a link. All functions except send()
/// are called on the thread of the executor.
///
/// Bounded queues in a cycle can deadlock; these cannot. A message is sent back only in answer to
/// one that was read; a sender waits only before it reads its next message, never inside handle();
/// and the answers to a peer never exceed the messages that it has in flight, for which its queue
/// has room. Messages that a replacement repeats are dropped and need no room.
class Ports final : public Outbox {
 public:
  explicit Ports(const asio::any_io_executor& executor, const PortsParams& params = {})
      : executor_{executor}, params_{params}, changed_{executor} {}

  /// Adds a peer and its stream. To be called before run().
  void add(const std::string& peer, Stream stream);
  /// `callback` is called whenever a message was received or sent, or a link was established or
  /// broke.
  void on_change(std::function<void()> callback) { on_change_ = std::move(callback); }
  /// Replaces the link to a peer that was added.
  void attach(std::unique_ptr<Link> link);
  /// The peer has been replaced: closes its link; the stream continues over links to the
  /// replacement.
  void detach(const std::string& peer);
  /// The peer has been replaced: closes its link and begins a new stream.
  void renew(const std::string& peer, Stream stream);
  /// Closes a port: no further link to this peer is used.
  void close(const std::string& peer, const std::string& why);
  /// Reads and writes all links. Never ends by itself.
  awaitable<void> run();

  /// Queues a message, which is sent while the caller computes; discards it if the port is closed.
  /// May be called from any thread.
  void send(const std::string& peer, Message message) override;
  /// Outside the stream, on the present link, if there is one: see Edge::push_unsequenced().
  void send_unsequenced(const std::string& peer, Message message);
  /// Messages sent to this peer up to this number will not be needed again.
  void forget(const std::string& peer, std::uint64_t through) {
    ports_.at(peer)->edge.forget(through);
  }
  /// The largest number of unsent messages to one peer.
  std::size_t unsent() const;
  /// Returns when unsent() is at most `count`.
  awaitable<void> unsent_at_most(std::size_t count);

  /// The next received message of this peer, if there is one.
  std::optional<Message> read(const std::string& peer) { return read(*ports_.at(peer)); }
  /// The next message of this peer. Throws NetworkError once the port is closed and empty.
  awaitable<Message> receive(std::string peer);
  /// The next message of any peer, or no message when a port has closed (once for each port).
  awaitable<std::pair<std::string, std::optional<Message>>> receive_any();

  /// All peers are linked, and the streams have been resumed.
  bool all_linked() const;
  /// Returns when no peer is linked.
  awaitable<void> all_unlinked();
  /// Throws NetworkError when this port closes.
  awaitable<void> until_closed(std::string peer);
  /// Whether Edge::is_replaying() is true for some peer.
  bool is_replaying() const;

  /// Bytes received from a peer, heartbeats included.
  std::uint64_t bytes_received(const std::string& peer) const;
  /// The last heartbeat of this peer.
  const wire::Heartbeat& heartbeat(const std::string& peer) const {
    return ports_.at(peer)->edge.heartbeat();
  }
  /// The queue of received messages of this peer is full: its link is not being read.
  bool is_full(const std::string& peer) const { return ports_.at(peer)->edge.is_full(); }
  bool has_unread(const std::string& peer) const { return ports_.at(peer)->edge.has_unread(); }
  bool linked(const std::string& peer) const { return ports_.at(peer)->link != nullptr; }
  bool closed(const std::string& peer) const { return ports_.at(peer)->closed; }
  /// Whether a new link should be established: there is none or it has stalled, no other is about
  /// to be used, and the port is not closed.
  bool needs_link(const std::string& peer) const;
  /// Sends a heartbeat over a TCP link: a stall can be detected only while data are unacknowledged.
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
    bool dropping = false;  // messages of the link are ignored from now on
    std::size_t sending = 0;
    bool had_link = false;
    bool link_productive = false;     // has transferred a message of the stream
    int unproductive_reconnects = 0;  // links in a row before this one that were not productive
    bool closed = false;
    bool closing_reported = false;
    std::string why_closed;
    // of earlier links
    std::uint64_t bytes_received = 0, messages_sent = 0, bytes_sent = 0;
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
  std::string served_last_;  // by receive_any(), which serves ports in turn
};

}  // namespace lateral
