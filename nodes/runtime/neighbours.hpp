// Neighbours: connects a node to its peers, and reconnects when links break.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "nodes/base/log.hpp"
#include "nodes/runtime/dialling.hpp"
#include "nodes/runtime/ports.hpp"
#include "transport/reception.hpp"

namespace lateral {

class Neighbours {
 public:
  Neighbours(const asio::any_io_executor& executor, Credentials credentials, Identity self,
             Log log);

  /// The ports that receive links from now on, and the limits of these links; nullptr: links are
  /// closed.
  void set_network(Ports* network, const FrameLimits& limits);
  /// From now on this generation of the peer is dialled, or expected by `reception`.
  void set_peer(const wire::Peer& peer, Reception& reception);
  /// From now on peers are dialled. REQUIRES: set_peer() has been called for all of them
  void dial();
  /// To be called when a peer that dialled this node has been authenticated.
  void add_link(std::unique_ptr<Link> link);
  /// Dials the peers that need a link. Never ends by itself.
  awaitable<void> run();

 private:
  struct Dialled {
    wire::Peer peer;
    DialTimeout timeout;
    std::string last_failure;
  };
  awaitable<void> keep_linked(std::string name);
  awaitable<void> try_to_link(std::string name);

  Credentials credentials_;
  Identity self_;
  Log log_;
  Changed changed_;
  Ports* network_ = nullptr;
  FrameLimits limits_{};
  bool dials_ = false;
  std::map<std::string, Dialled> dialled_;
};

}  // namespace lateral
