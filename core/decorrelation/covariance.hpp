// Covariance of a layer's input, estimated while it runs, and the matrices that whiten it.
#pragma once

#include "core/compute/compute.hpp"
#include "core/tensor.hpp"
#include "core/types.hpp"

namespace lateral {

/// Exponential mean of <zc zcᵀ>, free of the bias of its start: after t additions with momentum μ
/// the last one weighs μ / (1 − (1 − μ)^t).
class RunningCovariance {
 public:
  RunningCovariance() = default;
  RunningCovariance(Index n, double momentum);
  void add(ConstMatrixRef zc, const Compute& compute);
  /// REQUIRES: add() has been called
  Matrix value() const { return sum_ / weight_[0]; }
  /// Additions so far, up to 2^24, where float32 stops counting.
  double count() const { return static_cast<double>(weight_[1]); }
  /// covariance (n × n), covariance_weight (2)
  void visit_state(const std::string& prefix, const TensorVisitor& visit);
  /// What visit_state() shows for vectors of length n.
  static std::vector<TensorSpec> tensors(const std::string& prefix, Index n);

 private:
  Scalar momentum_ = 1;
  Matrix sum_;
  Vector weight_ = Vector::Zero(2);  // of the sum; additions
};

/// C = E diag(s) Eᵀ, s ascending and not below `floor`, in double precision. Each eigenvector's
/// largest component is positive, so that neighbouring decompositions agree in sign.
struct Eigenbasis {
  Eigen::MatrixXd vectors;
  Eigen::VectorXd values;
};
Eigenbasis eigenbasis(const Eigen::MatrixXd& covariance, double floor);

/// C^(power) = E diag(s^power) Eᵀ: power −1/2 is ZCA.
Eigen::MatrixXd symmetric_power(const Eigenbasis& basis, double power);

/// diag(s^(−1/2)) Eᵀ: whitens along the components, the smallest first.
Eigen::MatrixXd component_whitening(const Eigenbasis& basis);

}  // namespace lateral
