// Conversion between Eigen and messages: bodies that are written and read in place, and their
// checks.
#pragma once

#include <Eigen/Core>
#include <string>

#include "core/types.hpp"
#include "transport/message.hpp"

namespace lateral {

/// A batch, or some of its rows, in the body of a message (n × b).
using BatchView = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;

/// A message with a body for a batch (n × b; on the wire (b, n)) that is still to be filled.
Message new_batch(Index n, Index b);
/// That body, to be filled before the message is sent.
Eigen::Map<Matrix> body_of(Message& message);
/// An empty view: 0 × 0.
BatchView no_batch();

/// The body of a message as a batch (n × b), in place; `b` < 0 accepts any batch size up to b_max.
/// Throws system_error (TransportError::unexpected_message) naming the sender, the shape and the
/// expected shape. The values are checked here, once for each transfer: throws NumericsError,
/// naming the sender and the content, if a value is not finite.
BatchView batch_view(const Message& message, const std::string& peer, Index n, Index b,
                     Index b_max);

/// "(256, 1000)"
std::string shape_text(const wire::Header& header);
/// "activity at step 7", "Fisher error at step 3": the content of a message of the network.
std::string content_text(const wire::Header& header);

}  // namespace lateral
