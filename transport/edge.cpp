// What an edge says of itself, and what it makes of what it hears.
#include "transport/edge.hpp"

#include <utility>

#include "transport/error.hpp"

namespace lateral {

void Edge::linked() {
  resumed_ = false;
  resume_due_ = true;
  aside_.reset();
}

void Edge::push_aside(Message message) {
  aside_ = std::move(message);
  // What has come since is acknowledged along with it.
  acknowledge_due_ = acknowledges_ && stream_.received() > acknowledged_;
}

std::optional<Message> Edge::next() {
  Message message;
  if (resume_due_) {
    resume_due_ = false;
    message.header.mutable_resume()->set_received(stream_.received());
    return message;
  }
  if (acknowledge_due_) {
    acknowledge_due_ = false;
    acknowledged_ = stream_.received();
    unacknowledged_bytes_ = 0;
    message.header.mutable_acknowledge()->set_received(acknowledged_);
    return message;
  }
  if (aside_) return std::exchange(aside_, std::nullopt);
  if (resumed_ && stream_.waiting() > 0) return stream_.next();
  return std::nullopt;
}

void Edge::forget_before(const std::string& name) {
  const auto mark = marks_.find(name);
  if (mark == marks_.end()) return;
  const std::uint64_t through = mark->second;
  stream_.forget(through);
  std::erase_if(marks_, [&](const auto& other) { return other.second <= through; });
}

std::optional<Message> Edge::take(Message message) {
  const wire::Header& header = message.header;
  if (header.has_heartbeat()) {
    heartbeat_ = header.heartbeat();
    return std::nullopt;
  }
  if (header.has_acknowledge()) {
    stream_.forget(header.acknowledge().received());
    return std::nullopt;
  }
  if (header.has_resume()) {
    stream_.resume(header.resume().received());
    resumed_ = true;
    return std::nullopt;
  }
  if (header.sequence() == 0)
    throw_transport(TransportError::unexpected_message, "without a number, from a peer");
  if (!stream_.accept(header.sequence())) return std::nullopt;
  unacknowledged_bytes_ += message.body.bytes();
  if (acknowledges_ && (unacknowledged_bytes_ >= unacknowledged_bytes_max ||
                        stream_.received() >= acknowledged_ + unacknowledged_max))
    acknowledge_due_ = true;
  return message;
}

}  // namespace lateral
