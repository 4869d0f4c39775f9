// Copies and views between matrices and message bodies.
#include "nodes/process/convert.hpp"

#include "nodes/base/failure.hpp"
#include "transport/error.hpp"

namespace lateral {

std::string shape_text(const wire::Header& header) {
  std::string text;
  for (const std::uint32_t extent : header.shape())
    text += (text.empty() ? "" : ", ") + std::to_string(extent);
  return "(" + text + ")";
}

Message batch_message(ConstMatrixRef batch, const std::string& who, const std::string& what) {
  if (!all_finite(batch)) throw_diverged(who + ": " + what + " is not finite");
  Message message;
  message.header.add_shape(static_cast<std::uint32_t>(batch.cols()));
  message.header.add_shape(static_cast<std::uint32_t>(batch.rows()));
  message.body = Block(static_cast<std::size_t>(batch.size()));
  Eigen::Map<Matrix>(message.body.data(), batch.rows(), batch.cols()) = batch;
  return message;
}

BatchView batch_view(const Message& message, const std::string& peer, Index n, Index b,
                     Index b_max) {
  const auto& shape = message.header.shape();
  const bool right = shape.size() == 2 && shape[1] == n &&
                     (b >= 0 ? shape[0] == b : shape[0] >= 1 && shape[0] <= b_max);
  if (!right)
    throw_transport(TransportError::unexpected_message,
                    peer + " sent a body of shape " + shape_text(message.header) + ", expected (" +
                        (b >= 0 ? std::to_string(b) : "1…" + std::to_string(b_max)) + ", " +
                        std::to_string(n) + ")");
  const BatchView view(message.body.data(), n, static_cast<Index>(shape[0]));
  if (!all_finite(view))
    throw_transport(TransportError::unexpected_message, peer + " sent numbers that are not finite");
  return view;
}

}  // namespace lateral
