// What a process without state and without initiative answers.
#include "nodes/process.hpp"

#include <stdexcept>

#include "nodes/failure.hpp"

namespace lateral {

void Process::produce(bool, Outbox&) { throw std::logic_error("this process does not produce"); }

void Process::restore(const std::string& name, Message) {
  throw UserError("checkpoint: '" + name + "' is for a node that keeps no state");
}

Message snapshot_done(const wire::Snapshot& snapshot) {
  Message message;
  wire::SnapshotDone& fields = *message.header.mutable_snapshot_done();
  fields.set_step(snapshot.step());
  fields.set_epoch(snapshot.epoch());
  fields.set_final(snapshot.final());
  return message;
}

}  // namespace lateral
