// Numbers for reports, counts for snapshots.
#include "nodes/router.hpp"

namespace lateral {

Router::Router(Outbox& control, Outbox& network, const wire::Assignment& assignment,
               std::function<void(const std::string&)> mark)
    : control_{control}, network_{network}, mark_{std::move(mark)}, reports_{assignment.reports()} {
  for (const wire::Count& count : assignment.counts()) counts_[count.peer()] = count;
}

void Router::send(const std::string& peer, Message message) {
  if (peer != coordinator_name) {
    counts_[peer].set_sent(counts_[peer].sent() + 1);
    return network_.send(peer, std::move(message));
  }
  message.header.set_report(++reports_);
  if (message.header.has_snapshot_done()) {
    wire::SnapshotDone& done = *message.header.mutable_snapshot_done();
    for (auto& [name, count] : counts_) {
      count.set_peer(name);
      *done.add_counts() = count;
    }
    mark_(snapshot_name(done));
  }
  control_.send(peer, std::move(message));
}

void Router::took_from(const std::string& peer) {
  counts_[peer].set_received(counts_[peer].received() + 1);
}

}  // namespace lateral
