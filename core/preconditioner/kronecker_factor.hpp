// KroneckerFactor: a second moment of a layer's inputs or errors, and its damped inverse.
#pragma once

#include "core/decorrelation/covariance.hpp"

namespace lateral {

/// C = running mean of <v vᵀ> (n × n), and (C + damping I)⁻¹ as of the last invert().
class KroneckerFactor {
 public:
  KroneckerFactor() = default;
  KroneckerFactor(Index n, double momentum) : moment_(n, momentum), inverse_(Matrix::Zero(n, n)) {}
  bool is_used() const { return inverse_.size() > 0; }
  /// v (n × b)
  void add(ConstMatrixRef v, const Compute& compute) { moment_.add(v, compute); }
  /// Mean eigenvalue tr C / n.
  double mean_eigenvalue() const;
  /// In double precision; eigenvalues of C that rounding made negative count as zero.
  /// REQUIRES: damping > 0
  void invert(double damping);
  const Matrix& inverse() const { return inverse_; }
  /// covariance, covariance_weight, inverse (n × n); nothing if the factor is not used
  void visit_state(const std::string& prefix, const TensorVisitor& visit);
  /// What visit_state() shows of a factor of vectors of length n that is used.
  static std::vector<TensorSpec> tensors(const std::string& prefix, Index n);

 private:
  RunningCovariance moment_;
  Matrix inverse_;
};

/// [x; 1]
Matrix with_constant(ConstMatrixRef x);

}  // namespace lateral
