// What most decorrelation rules have in common: nothing besides R, M and the threshold.
#include "core/decorrelation/rule.hpp"

#include "core/check.hpp"

namespace lateral {

void begin_scaled_identity(Index n, const DecorrelationParams& params, DecorrelationState& state) {
  const Scalar scale = params.initial_scale;
  if (params.mode == DecorrelationMode::settled)
    state.M = Matrix::Identity(n, n) / scale;
  else
    state.R = Matrix::Identity(n, n) * scale;
}

KeptTensors DecorrelationRule::kept_tensors(DecorrelationMode mode) const {
  const bool settled = mode == DecorrelationMode::settled;
  return {.R = !settled, .M = settled, .threshold = false};
}

bool DecorrelationRule::derive_missing(const std::string&, const MissingTensors&,
                                       DecorrelationState&, const Compute&) {
  return false;
}

void DecorrelationRule::visit_state(const std::string&, const TensorVisitor&) {}

std::vector<TensorSpec> DecorrelationRule::own_tensors(const std::string&, Index) const {
  return {};
}

const Matrix* DecorrelationRule::batch_matrix(ConstMatrixRef, const Compute&) {
  LATERAL_CHECK(false && "only rules that whiten the batch have this");
  return nullptr;
}

void DecorrelationRule::batch_backward(ConstMatrixRef, ConstMatrixRef, MatrixRef,
                                       const Compute&) const {
  LATERAL_CHECK(false && "only rules that whiten the batch have this");
}

}  // namespace lateral
