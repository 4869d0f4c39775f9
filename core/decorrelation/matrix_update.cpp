// The kernels that change R or M, and their references.
#include "core/decorrelation/matrix_update.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <algorithm>
#include <array>
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
  compute.for_columns(
      A.cols(), block_columns, operations(A, P.cols()), [&](Index first, Index columns) {
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

/// y_i ← y_i + Σ_j v_j r_j,i, summed in this order for every caller; fma: one rounding, as written.
template <Index columns>
Scalar weighted_sum(const Scalar* r, const Scalar* v, Scalar y) {
  for (Index j = 0; j < columns; ++j) y = std::fma(v[j], r[j], y);
  return y;
}

template <Index columns>
void add_columns(Index n, Scalar* const* r, const Scalar* v, Scalar* __restrict y) {
  for (Index i = 0; i < n; ++i) {
    std::array<Scalar, columns> row;
    for (std::size_t j = 0; j < columns; ++j) row[j] = r[j][i];
    y[i] = weighted_sum<columns>(row.data(), v, y[i]);
  }
}

// Columns of any length are seldom aligned for the longest vectors, and an access that straddles
// two cache lines costs two.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define LATERAL_HALF_VECTORS __attribute__((target("prefer-vector-width=256")))
#else
#define LATERAL_HALF_VECTORS
#endif

/// Columns that update_and_multiply() works on at a time.
constexpr Index turn = 4;

/// r_j ← gain (r_j − step_j x) for four columns, and what add_columns() does with the new ones; and
/// the products of x with the next four, which so are on their way from memory meanwhile.
template <bool multiplies>
LATERAL_HALF_VECTORS void update_columns(Index n, Scalar* const* r, const Scalar* const* next,
                                         Scalar* step, const Scalar* x, const Scalar* gain,
                                         const Scalar* v, Scalar* __restrict y) {
  const Scalar step0 = step[0], step1 = step[1], step2 = step[2], step3 = step[3];
  Scalar *const r0 = r[0], *const r1 = r[1], *const r2 = r[2], *const r3 = r[3];
  const Scalar *const n0 = next[0], *const n1 = next[1], *const n2 = next[2], *const n3 = next[3];
  const Scalar v0 = multiplies ? v[0] : 0, v1 = multiplies ? v[1] : 0, v2 = multiplies ? v[2] : 0,
               v3 = multiplies ? v[3] : 0;
  Scalar d0 = 0, d1 = 0, d2 = 0, d3 = 0;
#pragma omp simd reduction(+ : d0, d1, d2, d3)
  for (Index i = 0; i < n; ++i) {
    const Scalar a = gain[i] * std::fma(-step0, x[i], r0[i]);
    const Scalar b = gain[i] * std::fma(-step1, x[i], r1[i]);
    const Scalar c = gain[i] * std::fma(-step2, x[i], r2[i]);
    const Scalar d = gain[i] * std::fma(-step3, x[i], r3[i]);
    r0[i] = a;
    r1[i] = b;
    r2[i] = c;
    r3[i] = d;
    d0 += n0[i] * x[i];
    d1 += n1[i] * x[i];
    d2 += n2[i] * x[i];
    d3 += n3[i] * x[i];
    if constexpr (multiplies)
      y[i] = std::fma(v3, d, std::fma(v2, c, std::fma(v1, b, std::fma(v0, a, y[i]))));
  }
  step[0] = d0;
  step[1] = d1;
  step[2] = d2;
  step[3] = d3;
}

Matrix correlation(ConstMatrixRef X) { return (X * X.transpose()) / static_cast<Scalar>(X.cols()); }

}  // namespace

void add_outer_product(Scalar alpha, ConstMatrixRef A, ConstMatrixRef B, MatrixRef out,
                       const Compute& compute) {
  compute.for_columns(out.cols(), block_columns, operations(out, A.cols()) / 2,
                      [&](Index first, Index columns) {
                        compute.product().multiply(alpha, {A}, {B.middleRows(first, columns), true},
                                                   1, out.middleCols(first, columns));
                      });
}

void update_inverse_exact(MatrixRef R, ConstMatrixRef X, Scalar eta, ConstVectorRef gain,
                          UpdateWorkspace& work, const Compute& compute) {
  work.samples = X.transpose();  // small; the products read S rows at a time
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
  const bool multiplies = v.size() > 0;
  if (multiplies) out.setZero();
  Scalar* const y = out.data();
  const auto columns_from = [&](Index first) {
    std::array<Scalar*, turn> columns;
    for (Index j = 0; j < turn; ++j)
      columns[static_cast<std::size_t>(j)] = R.data() + (first + j) * R.outerStride();
    return columns;
  };
  const Index whole = R.cols() / turn * turn;
  Eigen::Matrix<Scalar, turn, 1> step;
  if (update != nullptr && whole > 0) step.noalias() = R.leftCols<turn>().transpose() * update->x;
  for (Index first = 0; first < whole; first += turn) {
    const std::array<Scalar*, turn> r = columns_from(first);
    if (update == nullptr) {
      add_columns<turn>(n, r.data(), v.data() + first, y);
      continue;
    }
    step *= update->eta;
    const std::array<Scalar*, turn> next =
        columns_from(first + turn < whole ? first + turn : first);
    (multiplies ? update_columns<true>
                : update_columns<false>)(n, r.data(), next.data(), step.data(), update->x.data(),
                                         update->gain.data(),
                                         multiplies ? v.data() + first : nullptr, y);
  }
  for (Index j = whole; j < R.cols(); ++j) {
    if (update != nullptr) {
      const Scalar one_step = update->eta * R.col(j).dot(update->x);
      R.col(j) = update->gain.array() * (R.col(j) - one_step * update->x).array();
    }
    if (multiplies) out += v[j] * R.col(j);
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
  compute.for_columns(
      M.cols(), block_columns, operations(M, X.cols()), [&](Index first, Index columns) {
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
