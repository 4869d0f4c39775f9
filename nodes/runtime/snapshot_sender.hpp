// SnapshotSender: which tensor of which snapshot a node copies and sends next.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "nodes/process/process.hpp"

namespace lateral {

/// The tensors of snapshots leave for the coordinator while the process works on, each once the one
/// before it has left, so that a node holds the copy of one tensor at a time. The caller waits and
/// copies; this decides. Belongs to the thread that waits, but for announce().
class SnapshotSender {
 public:
  /// From the work that passes the marker of a snapshot.
  void announce(const wire::SnapshotPart& part) { announced_.push_back(part); }
  /// After that work: what it has announced is due from now on, and is returned.
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
  std::uint32_t copied_ = 0;  // tensors of the first of them
  bool copying_ = false;
};

}  // namespace lateral
