// Copies of tensors.
#include "core/layer/kept_state.hpp"

#include <algorithm>
#include <cmath>

#include "core/check.hpp"

namespace lateral {
namespace {

Eigen::Map<Matrix> values_of(const TensorView& tensor) {
  return {tensor.data, tensor.rows, tensor.cols};
}

void copy(ConstMatrixRef from, MatrixRef to, const Compute& compute) {
  compute.pass(from.cols(), from.size(), [&](Index first, Index columns) {
    to.middleCols(first, columns) = from.middleCols(first, columns);
  });
}

}  // namespace

void KeptState::keep(const VisitTensors& visit_all, const Compute& compute) {
  std::size_t count = 0;
  visit_all([&](const TensorView& tensor) {
    if (count == kept_.size()) kept_.emplace_back();
    Kept& kept = kept_[count++];
    kept.name = tensor.name;
    kept.before.resize(tensor.rows, tensor.cols);
    copy(values_of(tensor), kept.before, compute);
  });
  kept_.resize(count);
}

void KeptState::put_back(const VisitTensors& visit_all, const Compute& compute) const {
  visit_all([&](const TensorView& tensor) { copy(before(tensor), values_of(tensor), compute); });
}

double KeptState::relative_change(const TensorView& now) const {
  const Matrix& old = before(now);
  double change = 0, whole = 0;  // squares of floats fit into double
  for (Index j = 0; j < now.cols; ++j) {
    const auto old_column = old.col(j).cast<double>();
    change += (values_of(now).col(j).cast<double>() - old_column).squaredNorm();
    whole += old_column.squaredNorm();
  }
  return whole > 0 ? std::sqrt(change / whole) : 0;
}

void KeptState::shorten(const TensorView& now, Scalar factor) const {
  const Matrix& old = before(now);
  values_of(now) = old + (factor * values_of(now) - factor * old);  // now − old might overflow
}

const Matrix& KeptState::before(const TensorView& now) const {
  const auto kept = std::find_if(kept_.begin(), kept_.end(),
                                 [&](const Kept& one) { return one.name == now.name; });
  LATERAL_CHECK(kept != kept_.end());
  LATERAL_CHECK(kept->before.rows() == now.rows);
  LATERAL_CHECK(kept->before.cols() == now.cols);
  return kept->before;
}

}  // namespace lateral
