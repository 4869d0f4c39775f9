// Router: counts what a process sends and takes up, on its way to the coordinator or to its peers.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "nodes/process/process.hpp"

namespace lateral {

class Router final : public Outbox {
 public:
  /// `passed` is called with each part of a snapshot when its counts are in it.
  Router(Outbox& control, Outbox& network, const wire::Assignment& assignment,
         std::function<void(const wire::SnapshotPart&)> passed);

  void send(const std::string& peer, Message message) override;
  /// Before the process handles a message of that peer.
  void took_from(const std::string& peer);

 private:
  Outbox& control_;
  Outbox& network_;
  std::function<void(const wire::SnapshotPart&)> passed_;
  std::map<std::string, wire::Count> counts_;  // by peer
  std::uint64_t reports_;
};

}  // namespace lateral
