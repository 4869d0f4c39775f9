// SnapshotSender: which tensor of which snapshot a node copies and sends next.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "nodes/process/process.hpp"

namespace lateral {

/// The tensors of snapshots are sent to the coordinator while the process continues to work, one
/// after the other, so that a node has a copy of only one tensor at a time. Used on the event-loop
/// thread, except for announce().
class SnapshotSender {
 public:
  /// To be called in the task that handles the marker of a snapshot.
  void announce(const wire::SnapshotPart& part) { announced_.push_back(part); }
  /// To be called after that task: copying of the announced snapshots begins. Returns them.
  std::vector<wire::SnapshotPart> begin_announced();
  /// Some tensors have not been copied and sent yet.
  bool is_active() const { return !due_.empty(); }
  /// The next tensor to be copied, unless one is being copied.
  struct Copy {
    std::size_t position;
    wire::Snapshot snapshot;
  };
  std::optional<Copy> next();
  void copy_done();

 private:
  std::vector<wire::SnapshotPart> announced_;
  std::deque<wire::SnapshotPart> due_;
  std::uint32_t copied_ = 0;  // tensors of the first snapshot in due_
  bool copying_ = false;
};

}  // namespace lateral
