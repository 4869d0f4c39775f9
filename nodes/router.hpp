// Router: counts what a process sends and takes up, on its way to the coordinator or to its peers.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "nodes/process.hpp"

namespace lateral {

/// Tells the snapshots of a run apart. One at its end may be of the same step as the one before.
template <class Snapshot>
std::string snapshot_name(const Snapshot& snapshot) {
  return std::to_string(snapshot.step()) + " " + std::to_string(snapshot.epoch()) +
         (snapshot.final() ? " final" : "");
}

class Router final : public Outbox {
 public:
  /// `mark` is called with the name of each snapshot as it passes.
  Router(Outbox& control, Outbox& network, const wire::Assignment& assignment,
         std::function<void(const std::string&)> mark);

  void send(const std::string& peer, Message message) override;
  /// Before the process handles a message of that peer.
  void took_from(const std::string& peer);

 private:
  Outbox& control_;
  Outbox& network_;
  std::function<void(const std::string&)> mark_;
  std::map<std::string, wire::Count> counts_;  // by peer
  std::uint64_t reports_;
};

}  // namespace lateral
