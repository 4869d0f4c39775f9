// Router: counts what a process sends to and reads from each peer, and its reports to the
// coordinator.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "nodes/process/process.hpp"

namespace lateral {

class Router final : public Outbox {
 public:
  /// Begins with the counts of the assignment. All messages are passed to `out`.
  ///   on_snapshot: called with each snapshot part that the process sends, with its counts
  Router(Outbox& out, const wire::Assignment& assignment,
         std::function<void(const wire::SnapshotPart&)> on_snapshot);

  void send(const std::string& peer, Message message) override;
  /// To be called before the process handles a message of this peer.
  void count_received(const std::string& peer);

 private:
  Outbox& out_;
  std::function<void(const wire::SnapshotPart&)> on_snapshot_;
  std::map<std::string, wire::Count> counts_;  // by peer
  std::uint64_t reports_;
};

}  // namespace lateral
