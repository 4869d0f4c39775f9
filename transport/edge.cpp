// The control messages of a stream, and the order in which messages are sent.
#include "transport/edge.hpp"

#include <utility>

#include "transport/error.hpp"

namespace lateral {

void Edge::linked() {
  resumed_ = false;
  resume_due_ = true;
  unsequenced_.reset();
}

void Edge::push_unsequenced(Message message) {
  unsequenced_ = std::move(message);
  // What has been received since is acknowledged along with it.
  acknowledge_due_ = params_.acknowledges && stream_.received() > acknowledged_;
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
  if (unsequenced_) return std::exchange(unsequenced_, std::nullopt);
  if (resumed_ && stream_.unsent() > 0) return stream_.next();
  return std::nullopt;
}

bool Edge::take(Message message) {
  const wire::Header& header = message.header;
  if (header.has_heartbeat()) {
    heartbeat_ = header.heartbeat();
    return false;
  }
  if (header.has_acknowledge()) {
    stream_.forget(header.acknowledge().received());
    return false;
  }
  if (header.has_resume()) {
    stream_.resume(header.resume().received());
    resumed_ = true;
    return false;
  }
  if (header.sequence() == 0)
    throw_transport(TransportError::unexpected_message, "from a peer, without a sequence number");
  if (!stream_.accept(header.sequence())) return false;
  unacknowledged_bytes_ += message.body.bytes();
  if (params_.acknowledges && (unacknowledged_bytes_ >= unacknowledged_bytes_max ||
                               stream_.received() >= acknowledged_ + unacknowledged_max))
    acknowledge_due_ = true;
  incoming_.push_back(std::move(message));
  return true;
}

std::optional<Message> Edge::read() {
  if (incoming_.empty()) return std::nullopt;
  Message message = std::move(incoming_.front());
  incoming_.pop_front();
  return message;
}

}  // namespace lateral
