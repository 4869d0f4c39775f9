// Between Eigen and the wire; shape and finiteness are checked in both directions.
#pragma once

#include <Eigen/Core>
#include <string>

#include "core/finite.hpp"
#include "core/types.hpp"
#include "transport/message.hpp"

namespace lateral {

using BatchView = Eigen::Map<const Matrix>;

/// A message whose body is the batch (n × b), on the wire (b, n). The caller fills in the content.
/// Throws NumericsError "<who>: <what> is not finite" so that a bad number is named where it is
/// made.
Message batch_message(ConstMatrixRef batch, const std::string& who, const std::string& what);

/// The body of a message as a batch (n × b), in place; `b` < 0 takes any batch size up to b_max.
/// Throws system_error (TransportError::unexpected_message) naming who sent which shape instead of
/// which, or a number that is not finite.
BatchView batch_view(const Message& message, const std::string& peer, Index n, Index b,
                     Index b_max);

/// "(256, 1000)"
std::string shape_text(const wire::Header& header);

}  // namespace lateral
