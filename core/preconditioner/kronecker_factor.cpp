// Second moments and their inverses.
#include "core/preconditioner/kronecker_factor.hpp"

#include <Eigen/Cholesky>

#include "core/check.hpp"

namespace lateral {

double KroneckerFactor::mean_eigenvalue() const {
  return static_cast<double>(moment_.value().trace()) / static_cast<double>(inverse_.rows());
}

void KroneckerFactor::invert(double damping) {
  LATERAL_CHECK(damping > 0);
  Eigen::MatrixXd damped = moment_.value().cast<double>();
  damped.diagonal().array() += damping;
  const Eigen::LLT<Eigen::MatrixXd> cholesky(damped);
  if (cholesky.info() == Eigen::Success) {
    inverse_ =
        cholesky.solve(Eigen::MatrixXd::Identity(damped.rows(), damped.cols())).cast<Scalar>();
    return;
  }
  // Rounding of the float32 moment has made an eigenvalue negative by more than the damping.
  Eigenbasis basis = eigenbasis(damped, damping);
  inverse_ = symmetric_power(basis, -1).cast<Scalar>();
}

void KroneckerFactor::visit_state(const std::string& prefix, const TensorVisitor& visit) {
  if (!is_used()) return;
  moment_.visit_state(prefix, visit);
  visit_matrix(visit, prefix + "inverse", inverse_);
}

std::vector<TensorSpec> KroneckerFactor::tensors(const std::string& prefix, Index n) {
  std::vector<TensorSpec> tensors = RunningCovariance::tensors(prefix, n);
  tensors.push_back({prefix + "inverse", TensorRole::other, {n, n}});
  return tensors;
}

Matrix with_constant(ConstMatrixRef x) {
  Matrix extended(x.rows() + 1, x.cols());
  extended.topRows(x.rows()) = x;
  extended.bottomRows(1).setOnes();
  return extended;
}

}  // namespace lateral
