// Numbers, what is kept, and what is taken.
#include "transport/stream.hpp"

#include <algorithm>
#include <string>

#include "transport/error.hpp"

namespace lateral {
namespace {

std::size_t kept_bytes(const Message& message) { return sizeof message + message.body.bytes(); }

}  // namespace

void Stream::push(Message message) {
  message.header.set_sequence(++sent_);
  kept_bytes_ += lateral::kept_bytes(message);
  kept_.push_back(std::move(message));
  while (kept_bytes_ > kept_bytes_max && forgotten_ < handed_ && kept_.size() > 1) drop_first();
  // What the peer has from a predecessor of ours is kept for a successor of the peer's alone.
  if (sent_ > handed_) return;
  if (!keeps_)
    drop_first();
  else if (refill_)
    drop_body(kept_.back());
}

Message Stream::next() {
  ++handed_;
  Message& kept = kept_[static_cast<std::size_t>(handed_ - forgotten_ - 1)];
  Message message = kept;
  if (refill_ && message.body.size() == 0 && message.header.shape_size() > 0)
    message.body = refill_(message.header);
  if (!keeps_)
    drop_first();
  else if (refill_)
    drop_body(kept);
  return message;
}

void Stream::resume(std::uint64_t received) {
  if (received < forgotten_)
    throw_transport(TransportError::out_of_sequence,
                    "the peer has messages up to " + std::to_string(received) +
                        ", and those up to " + std::to_string(forgotten_) + " are not kept");
  handed_ = received;
}

void Stream::forget(std::uint64_t through) {
  // Not what waits to be handed out, whatever a peer claims to have.
  while (!kept_.empty() && forgotten_ < std::min(through, handed_)) drop_first();
}

void Stream::drop_body(Message& kept) {
  kept_bytes_ -= kept.body.bytes();
  kept.body = Block();
}

void Stream::drop_first() {
  kept_bytes_ -= lateral::kept_bytes(kept_.front());
  kept_.pop_front();
  ++forgotten_;
}

bool Stream::accept(std::uint64_t sequence) {
  if (sequence <= received_) return false;
  if (sequence != received_ + 1)
    throw_transport(TransportError::out_of_sequence,
                    "message " + std::to_string(sequence) + " came where " +
                        std::to_string(received_ + 1) + " was due");
  received_ = sequence;
  return true;
}

}  // namespace lateral
