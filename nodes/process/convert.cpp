// Shapes and finiteness of message bodies.
#include "nodes/process/convert.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/finite.hpp"
#include "nodes/base/failure.hpp"
#include "transport/error.hpp"

namespace lateral {

Message new_batch(Index n, Index b) {
  Message message;
  message.header.add_shape(static_cast<std::uint32_t>(b));
  message.header.add_shape(static_cast<std::uint32_t>(n));
  message.body = Block(static_cast<std::size_t>(n * b));
  return message;
}

Eigen::Map<Matrix> body_of(Message& message) {
  return {message.body.data(), static_cast<Index>(message.header.shape(1)),
          static_cast<Index>(message.header.shape(0))};
}

BatchView no_batch() { return {nullptr, 0, 0, Eigen::OuterStride<>(0)}; }

BatchView batch_view(const Message& message, const std::string& peer, Index n, Index b,
                     Index b_max) {
  const auto& shape = message.header.shape();
  const bool right = shape.size() == 2 && shape[1] == n &&
                     (b >= 0 ? shape[0] == b : shape[0] >= 1 && shape[0] <= b_max);
  if (!right)
    throw_transport(TransportError::unexpected_message,
                    fmt::format("{} sent a body of shape {}, expected ({}, {})", peer,
                                shape_text(message.header),
                                b >= 0 ? std::to_string(b) : fmt::format("1…{}", b_max), n));
  const BatchView view(message.body.data(), n, static_cast<Index>(shape[0]),
                       Eigen::OuterStride<>(n));
  if (!all_finite(view))
    throw_diverged(fmt::format("{}: {} is not finite", peer, content_text(message.header)));
  return view;
}

std::string shape_text(const wire::Header& header) {
  return fmt::format("({})", fmt::join(header.shape(), ", "));
}

std::string content_text(const wire::Header& header) {
  constexpr std::string_view signals[] = {"error", "output error", "reward", "true error",
                                          "Fisher error"};
  if (header.has_activity() && header.activity().pass() == wire::evaluate)
    return "activity in evaluation";
  if (header.has_activity()) return fmt::format("activity at step {}", header.activity().step());
  if (header.has_perturbation())
    return fmt::format("perturbation at step {}", header.perturbation().step());
  if (header.has_signal())
    return fmt::format("{} at step {}", signals[header.signal().kind()], header.signal().step());
  if (header.has_target()) return fmt::format("target at step {}", header.target().step());
  return "body";
}

}  // namespace lateral
