// Numbers reports, and counts messages for snapshots.
#include "nodes/runtime/router.hpp"

#include <utility>

namespace lateral {

Router::Router(Outbox& out, const wire::Assignment& assignment,
               std::function<void(const wire::SnapshotPart&)> on_snapshot)
    : out_{out}, on_snapshot_{std::move(on_snapshot)}, reports_{assignment.reports()} {
  for (const wire::Count& count : assignment.counts()) counts_[count.peer()] = count;
}

void Router::send(const std::string& peer, Message message) {
  if (peer != coordinator_name) {
    counts_[peer].set_sent(counts_[peer].sent() + 1);
    return out_.send(peer, std::move(message));
  }
  message.header.set_report(++reports_);
  if (message.header.has_snapshot_part()) {
    wire::SnapshotPart& part = *message.header.mutable_snapshot_part();
    for (auto& [name, count] : counts_) {
      count.set_peer(name);
      *part.add_counts() = count;
    }
    on_snapshot_(part);
  }
  out_.send(peer, std::move(message));
}

void Router::count_received(const std::string& peer) {
  counts_[peer].set_received(counts_[peer].received() + 1);
}

}  // namespace lateral
