// Defaults for processes without state that only answer messages.
#include "nodes/process/process.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "nodes/base/failure.hpp"

namespace lateral {

void Process::produce(bool, Outbox&) { throw std::logic_error("this process does not produce"); }

void Process::restore(const std::string& name, Message) {
  throw UserError(fmt::format("checkpoint: '{}' is for a node without state", name));
}

Message Process::tensor(std::size_t, const wire::Snapshot&) {
  throw std::logic_error("this process has no state");
}

Message snapshot_part(const wire::Snapshot& snapshot, std::size_t tensors) {
  Message message;
  wire::SnapshotPart& part = *message.header.mutable_snapshot_part();
  *part.mutable_snapshot() = snapshot;
  part.set_tensors(static_cast<std::uint32_t>(tensors));
  return message;
}

}  // namespace lateral
