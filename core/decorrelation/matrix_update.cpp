// The kernels that change R or M, and their references.
#include "core/decorrelation/matrix_update.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>

#include "core/check.hpp"

namespace lateral {
namespace {

/// A ← A + scale · P Q, a block of columns at a time, and finish(first, columns) on each block
/// while it is still in cache: the matrix is far larger than any cache, and reading it is what
/// costs.
template <class Q, class Finish>
void add_low_rank(MatrixRef A, Scalar scale, ConstMatrixRef P, const Q& q, Finish finish) {
  constexpr Index block = 64;
  for (Index first = 0; first < A.cols(); first += block) {
    const Index columns = std::min(block, A.cols() - first);
    if (P.cols() == 1) {  // an outer product is not worth a matrix product's packing
      for (Index j = first; j < first + columns; ++j) A.col(j) += (scale * q(0, j)) * P.col(0);
    } else {
      A.middleCols(first, columns).noalias() += (scale * P) * q.middleCols(first, columns);
    }
    finish(first, columns);
  }
}

/// gram ← shift · I + scale · XᵀX, lower half.
void shifted_gram(ConstMatrixRef X, Scalar shift, Scalar scale, Matrix& gram) {
  gram.setZero(X.cols(), X.cols());
  gram.selfadjointView<Eigen::Lower>().rankUpdate(X.transpose(), scale);
  gram.diagonal().array() += shift;
}

Scalar per_sample(Scalar eta, ConstMatrixRef X) { return eta / static_cast<Scalar>(X.cols()); }

void scale_rows(MatrixRef R, Index first, Index columns, ConstVectorRef gain) {
  R.middleCols(first, columns).array().colwise() *= gain.array();
}

void divide_columns(MatrixRef M, Index first, Index columns, ConstVectorRef gain) {
  for (Index j = first; j < first + columns; ++j) M.col(j) /= gain[j];
}

Matrix correlation(ConstMatrixRef X) { return (X * X.transpose()) / static_cast<Scalar>(X.cols()); }

}  // namespace

void update_inverse_exact(MatrixRef R, ConstMatrixRef X, Scalar eta, ConstVectorRef gain,
                          UpdateWorkspace& work) {
  work.inner.resize(X.cols(), R.cols());
  work.inner.noalias() = X.transpose() * R;
  add_low_rank(R, -per_sample(eta, X), X, work.inner,
               [&](Index first, Index columns) { scale_rows(R, first, columns, gain); });
}

void update_inverse_implicit(MatrixRef R, ConstMatrixRef X, Scalar eta, ConstVectorRef gain,
                             UpdateWorkspace& work) {
  work.inner.resize(X.cols(), R.cols());
  work.inner.noalias() = X.transpose() * R;
  shifted_gram(X, 1, per_sample(eta, X), work.gram);
  const Eigen::LLT<Eigen::Ref<Matrix>> factor(work.gram);
  factor.solveInPlace(work.inner);
  add_low_rank(R, -per_sample(eta, X), X, work.inner,
               [&](Index first, Index columns) { scale_rows(R, first, columns, gain); });
}

GuardedRate guard_rate(ConstMatrixRef X, Scalar eta, UpdateWorkspace& work) {
  shifted_gram(X, 1 - denominator_min, -per_sample(eta, X), work.gram);
  const Eigen::LLT<Eigen::Ref<Matrix>> factor(work.gram);
  // A NaN passes no comparison, so ask the factor itself as well.
  if (factor.info() == Eigen::Success && work.gram.diagonal().allFinite()) return {eta, false};
  shifted_gram(X, 0, 1, work.gram);
  if (!work.gram.allFinite()) return {0, true};
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(work.gram, Eigen::EigenvaluesOnly);
  const Scalar largest = solver.eigenvalues().maxCoeff() / static_cast<Scalar>(X.cols());
  const Scalar allowed = (1 - denominator_min) / largest;
  return allowed < eta ? GuardedRate{allowed, true} : GuardedRate{eta, false};
}

void update_lateral_sherman_morrison(MatrixRef M, ConstVectorRef u, ConstVectorRef x, Scalar eta,
                                     ConstVectorRef gain) {
  const Scalar denominator = 1 - eta * x.squaredNorm();
  LATERAL_CHECK(!(denominator < denominator_min / 2));  // half: what guard_rate's rounding may miss
  const Scalar scale = eta / denominator;
  for (Index j = 0; j < M.cols(); ++j) M.col(j) = (M.col(j) + (scale * x[j]) * u) / gain[j];
}

void update_lateral_woodbury(MatrixRef M, ConstMatrixRef U, ConstMatrixRef X, Scalar eta,
                             ConstVectorRef gain, UpdateWorkspace& work) {
  shifted_gram(X, 1, -per_sample(eta, X), work.gram);
  const Eigen::LLT<Eigen::Ref<Matrix>> factor(work.gram);
  work.inner = X.transpose();
  factor.solveInPlace(work.inner);
  add_low_rank(M, per_sample(eta, X), U, work.inner,
               [&](Index first, Index columns) { divide_columns(M, first, columns, gain); });
}

void update_lateral_implicit(MatrixRef M, ConstMatrixRef Z, ConstMatrixRef X, Scalar eta,
                             ConstVectorRef gain) {
  add_low_rank(M, per_sample(eta, X), Z, X.transpose(),
               [&](Index first, Index columns) { divide_columns(M, first, columns, gain); });
}

Matrix update_inverse_exact_reference(ConstMatrixRef R, ConstMatrixRef X, Scalar eta,
                                      ConstVectorRef gain) {
  return gain.asDiagonal() * Matrix(R - eta * correlation(X) * R);
}

Matrix update_inverse_implicit_reference(ConstMatrixRef R, ConstMatrixRef X, Scalar eta,
                                         ConstVectorRef gain) {
  const Matrix step = Matrix::Identity(R.rows(), R.rows()) + eta * correlation(X);
  return gain.asDiagonal() * Matrix(step.partialPivLu().solve(R));
}

}  // namespace lateral
