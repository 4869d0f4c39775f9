// Defaults for processes that keep no state and only answer messages.
#include "nodes/process/process.hpp"

#include <stdexcept>

#include "nodes/base/failure.hpp"

namespace lateral {

void Process::produce(bool, Outbox&) { throw std::logic_error("this process does not produce"); }

void Process::restore(const std::string& name, Message) {
  throw UserError("checkpoint: '" + name + "' is for a node that keeps no state");
}

Message Process::tensor(std::size_t, const wire::Snapshot&) {
  throw std::logic_error("this process keeps no state");
}

Message snapshot_part(const wire::Snapshot& snapshot, std::size_t tensors) {
  Message message;
  wire::SnapshotPart& part = *message.header.mutable_snapshot_part();
  *part.mutable_snapshot() = snapshot;
  part.set_tensors(static_cast<std::uint32_t>(tensors));
  return message;
}

}  // namespace lateral
