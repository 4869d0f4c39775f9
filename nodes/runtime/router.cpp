// Numbers for reports, counts for snapshots.
#include "nodes/runtime/router.hpp"

namespace lateral {

Router::Router(Outbox& control, Outbox& network, const wire::Assignment& assignment,
               std::function<void(const wire::SnapshotPart&)> passed)
    : control_{control},
      network_{network},
      passed_{std::move(passed)},
      reports_{assignment.reports()} {
  for (const wire::Count& count : assignment.counts()) counts_[count.peer()] = count;
}

void Router::send(const std::string& peer, Message message) {
  if (peer != coordinator_name) {
    counts_[peer].set_sent(counts_[peer].sent() + 1);
    return network_.send(peer, std::move(message));
  }
  message.header.set_report(++reports_);
  if (message.header.has_snapshot_part()) {
    wire::SnapshotPart& part = *message.header.mutable_snapshot_part();
    for (auto& [name, count] : counts_) {
      count.set_peer(name);
      *part.add_counts() = count;
    }
    passed_(part);
  }
  control_.send(peer, std::move(message));
}

void Router::took_from(const std::string& peer) {
  counts_[peer].set_received(counts_[peer].received() + 1);
}

}  // namespace lateral
