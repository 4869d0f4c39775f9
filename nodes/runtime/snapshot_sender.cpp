// One tensor after the other, one snapshot after the other.
#include "nodes/runtime/snapshot_sender.hpp"

#include <utility>

namespace lateral {

std::vector<wire::SnapshotPart> SnapshotSender::begin_announced() {
  for (const wire::SnapshotPart& part : announced_)
    if (part.tensors() > 0) due_.push_back(part);
  return std::exchange(announced_, {});
}

std::optional<SnapshotSender::Copy> SnapshotSender::next() {
  if (due_.empty() || copying_) return std::nullopt;
  copying_ = true;
  return Copy{copied_, due_.front().snapshot()};
}

void SnapshotSender::copy_done() {
  copying_ = false;
  if (++copied_ < due_.front().tensors()) return;
  due_.pop_front();
  copied_ = 0;
}

}  // namespace lateral
