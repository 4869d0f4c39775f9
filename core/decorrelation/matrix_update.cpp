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

/// Columns of a block: n of them and what changes them stay in the second cache up to n = 3000.
constexpr Index block_columns = 64;

double operations(ConstMatrixRef A, Index samples) {
  return 4.0 * static_cast<double>(A.size()) * static_cast<double>(samples);
}

/// A ← A + scale · P q a block of columns at a time: prepare(first, columns) fills its columns of
/// q (S × n), finish(first, columns) ends it. The matrix is far larger than any cache, and reading
/// it is what costs.
template <class Prepare, class Finish>
void add_low_rank(MatrixRef A, Scalar scale, ConstMatrixRef P, Matrix& q, const Compute& compute,
                  Prepare prepare, Finish finish) {
  q.resize(P.cols(), A.cols());
  compute.for_columns(A.cols(), block_columns, operations(A, P.cols()),
                      [&](Index first, Index columns) {
    prepare(first, columns);
    if (P.cols() == 1) {  // an outer product is not worth a matrix product's packing
      for (Index j = first; j < first + columns; ++j) A.col(j) += (scale * q(0, j)) * P.col(0);
    } else {
      compute.product().multiply(scale, {P}, {q.middleCols(first, columns)}, 1,
                                 A.middleCols(first, columns));
    }
    finish(first, columns);
  });
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
                          UpdateWorkspace& work, const Compute& compute) {
  work.samples = X.transpose();  // small, and S rows at a time are what the products want
  add_low_rank(
      R, -per_sample(eta, X), X, work.inner, compute,
      [&](Index first, Index columns) {
        compute.product().multiply(1, {work.samples}, {R.middleCols(first, columns)}, 0,
                                   work.inner.middleCols(first, columns));
      },
      [&](Index first, Index columns) { scale_rows(R, first, columns, gain); });
}

void update_and_multiply(MatrixRef R, const RankOneUpdate* update, ConstVectorRef v,
                         VectorRef out) {
  const Index n = R.rows();
  if (v.size() > 0) out.setZero();
  // Four columns a turn: out is then read and written a quarter as often.
  constexpr Index turn = 4;
  const Scalar* const x = update ? update->x.data() : nullptr;
  const Scalar* const gain = update ? update->gain.data() : nullptr;
  Scalar* const y = out.data();
  for (Index first = 0; first < R.cols(); first += turn) {
    const Index columns = std::min(turn, R.cols() - first);
    if (update)
      for (Index j = first; j < first + columns; ++j) {
        const Scalar step = update->eta * R.col(j).dot(update->x);
        Scalar* const r = R.col(j).data();
        for (Index i = 0; i < n; ++i) r[i] = gain[i] * (r[i] - step * x[i]);
      }
    if (v.size() == 0) continue;
    if (columns == turn) {
      const Scalar* const r0 = R.col(first).data();
      const Scalar* const r1 = R.col(first + 1).data();
      const Scalar* const r2 = R.col(first + 2).data();
      const Scalar* const r3 = R.col(first + 3).data();
      const Scalar v0 = v[first], v1 = v[first + 1], v2 = v[first + 2], v3 = v[first + 3];
      for (Index i = 0; i < n; ++i)
        y[i] += (r0[i] * v0 + r1[i] * v1) + (r2[i] * v2 + r3[i] * v3);
    } else {
      for (Index j = first; j < first + columns; ++j) out += v[j] * R.col(j);
    }
  }
}

void update_inverse_implicit(MatrixRef R, ConstMatrixRef X, Scalar eta, ConstVectorRef gain,
                             UpdateWorkspace& work, const Compute& compute) {
  work.samples = X.transpose();
  shifted_gram(X, 1, per_sample(eta, X), work.gram);
  const Eigen::LLT<Eigen::Ref<Matrix>> factor(work.gram);
  add_low_rank(
      R, -per_sample(eta, X), X, work.inner, compute,
      [&](Index first, Index columns) {
        auto inner = work.inner.middleCols(first, columns);
        compute.product().multiply(1, {work.samples}, {R.middleCols(first, columns)}, 0, inner);
        factor.solveInPlace(inner);
      },
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
                             ConstVectorRef gain, UpdateWorkspace& work, const Compute& compute) {
  shifted_gram(X, 1, -per_sample(eta, X), work.gram);
  const Eigen::LLT<Eigen::Ref<Matrix>> factor(work.gram);
  add_low_rank(
      M, per_sample(eta, X), U, work.inner, compute,
      [&](Index first, Index columns) {
        auto inner = work.inner.middleCols(first, columns);
        inner = X.middleRows(first, columns).transpose();
        factor.solveInPlace(inner);
      },
      [&](Index first, Index columns) { divide_columns(M, first, columns, gain); });
}

void update_lateral_implicit(MatrixRef M, ConstMatrixRef Z, ConstMatrixRef X, Scalar eta,
                             ConstVectorRef gain, const Compute& compute) {
  compute.for_columns(M.cols(), block_columns, operations(M, X.cols()),
                      [&](Index first, Index columns) {
    compute.product().multiply(per_sample(eta, X), {Z}, {X.middleRows(first, columns), true}, 1,
                               M.middleCols(first, columns));
    divide_columns(M, first, columns, gain);
  });
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
