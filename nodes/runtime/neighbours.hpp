// Neighbours: makes the links of a node to its peers, and makes them again when they break.
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

  /// Where links go from now on, and what they may carry; nullptr: nowhere.
  void set_network(Ports* network, const FrameLimits& limits);
  /// From now on this generation of the peer is dialled, or expected by `reception`.
  void set_peer(const wire::Peer& peer, Reception& reception);
  /// From now on peers are dialled; all of their names are known.
  void dial();
  /// A peer that dials this node has been admitted.
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
