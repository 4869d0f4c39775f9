// The running covariance, and the eigendecomposition by Eigen.
#include "core/decorrelation/covariance.hpp"

#include <Eigen/Eigenvalues>

#include "core/check.hpp"
#include "core/decorrelation/matrix_update.hpp"

namespace lateral {

RunningCovariance::RunningCovariance(Index n, double momentum)
    : momentum_(static_cast<Scalar>(momentum)), sum_(Matrix::Zero(n, n)) {}

void RunningCovariance::add(ConstMatrixRef zc, const Compute& compute) {
  sum_ *= 1 - momentum_;
  add_outer_product(momentum_ / static_cast<Scalar>(zc.cols()), zc, zc, sum_, compute);
  weight_[0] += momentum_ * (1 - weight_[0]);
  weight_[1] += 1;
}

void RunningCovariance::visit_state(const std::string& prefix, const TensorVisitor& visit) {
  visit_matrix(visit, prefix + "covariance", sum_);
  visit_vector(visit, prefix + "covariance_weight", weight_);
}

std::vector<TensorSpec> RunningCovariance::tensors(const std::string& prefix, Index n) {
  return {{prefix + "covariance", TensorRole::other, {n, n}},
          {prefix + "covariance_weight", TensorRole::other, {2}}};
}

Eigenbasis eigenbasis(const Eigen::MatrixXd& covariance, double floor) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance);
  Eigenbasis basis{solver.eigenvectors(), solver.eigenvalues().cwiseMax(floor)};
  for (Index j = 0; j < basis.vectors.cols(); ++j) {
    Index largest = 0;
    basis.vectors.col(j).cwiseAbs().maxCoeff(&largest);
    if (basis.vectors(largest, j) < 0) basis.vectors.col(j) *= -1;
  }
  return basis;
}

Eigen::MatrixXd symmetric_power(const Eigenbasis& basis, double power) {
  return basis.vectors * basis.values.array().pow(power).matrix().asDiagonal() *
         basis.vectors.transpose();
}

Eigen::MatrixXd component_whitening(const Eigenbasis& basis) {
  return (basis.vectors * basis.values.cwiseInverse().cwiseSqrt().asDiagonal()).transpose();
}

}  // namespace lateral
