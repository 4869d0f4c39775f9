// The check of numbers for being finite.
#include "core/finite.hpp"

#include <cmath>

namespace lateral {

bool all_finite(ConstMatrixRef values) {
  // 0 · v is 0 for every finite v and NaN otherwise; unlike allFinite(), this vectorises.
  if (values.outerStride() == values.rows()) {
    const Eigen::Map<const Vector> flat(values.data(), values.size());
    return (flat.array() * Scalar{0}).sum() == Scalar{0};
  }
  return (values.array() * Scalar{0}).sum() == Scalar{0};
}

std::optional<Divergence> divergence_of(ConstMatrixRef values, const std::string& quantity,
                                        std::uint64_t step) {
  if (all_finite(values)) return std::nullopt;
  Divergence found{quantity, step, 0};
  for (Index j = values.cols(); j-- > 0;)
    for (Index i = values.rows(); i-- > 0;)
      if (!std::isfinite(values(i, j))) found.value = static_cast<double>(values(i, j));
  return found;
}

std::optional<Divergence> divergence_of(const VisitTensors& visit_all, std::uint64_t step) {
  std::optional<Divergence> found;
  visit_all([&](const TensorView& tensor) {
    if (!found)
      found = divergence_of(Eigen::Map<const Matrix>(tensor.data, tensor.rows, tensor.cols),
                            tensor.name, step);
  });
  return found;
}

}  // namespace lateral
