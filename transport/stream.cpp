// Numbering, retention and duplicate detection.
#include "transport/stream.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "transport/error.hpp"

namespace lateral {
namespace {

std::size_t size_in_memory(const Message& message) { return sizeof message + message.body.bytes(); }

}  // namespace

void Stream::push(Message message) {
  message.header.set_sequence(++sent_);
  retained_bytes_ += size_in_memory(message);
  retained_.push_back(std::move(message));
  while (retained_bytes_ > retained_bytes_max && forgotten_ < transmitted_ && retained_.size() > 1)
    drop_first();
  // What the peer has received from a predecessor is retained only for a replacement of the peer.
  if (sent_ > transmitted_) return;
  if (!retains_)
    drop_first();
  else if (refill_)
    drop_body(retained_.back());
}

Message Stream::next() {
  ++transmitted_;
  if (!retains_) {
    while (forgotten_ + 1 < transmitted_) drop_first();
    retained_bytes_ -= size_in_memory(retained_.front());
    Message message = std::move(retained_.front());
    retained_.pop_front();
    ++forgotten_;
    return message;
  }
  Message& original = retained_[static_cast<std::size_t>(transmitted_ - forgotten_ - 1)];
  Message message = original;
  if (refill_ && message.body.size() == 0 && message.header.shape_size() > 0)
    message.body = refill_(message.header);
  if (refill_) drop_body(original);
  return message;
}

void Stream::resume(std::uint64_t received) {
  if (received < forgotten_)
    throw_transport(
        TransportError::out_of_sequence,
        fmt::format("the peer has received messages up to {}, and those up to {} are not "
                    "retained",
                    received, forgotten_));
  if (origin_ == Origin::first && received > sent_)
    throw_transport(TransportError::out_of_sequence,
                    fmt::format("the peer has received messages up to {}, and {} have been sent",
                                received, sent_));
  transmitted_ = received;
}

void Stream::forget(std::uint64_t through) {
  // A message that has not been transmitted is kept, whatever the peer claims to have received.
  while (!retained_.empty() && forgotten_ < std::min(through, transmitted_)) drop_first();
}

void Stream::drop_body(Message& message) {
  retained_bytes_ -= message.body.bytes();
  message.body = Block();
}

void Stream::drop_first() {
  retained_bytes_ -= size_in_memory(retained_.front());
  retained_.pop_front();
  ++forgotten_;
}

bool Stream::accept(std::uint64_t sequence) {
  if (sequence <= received_) return false;
  if (sequence != received_ + 1)
    throw_transport(
        TransportError::out_of_sequence,
        fmt::format("message {} was received where {} was expected", sequence, received_ + 1));
  received_ = sequence;
  return true;
}

}  // namespace lateral
