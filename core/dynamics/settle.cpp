// The settling loop, and the direct solution that it is tested against.
#include "core/dynamics/settle.hpp"

#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.hpp"

namespace lateral {
namespace {

/// Decides from the largest residual of each step whether the iteration diverges. Lasting growth,
/// and well above the start, because a matrix that is not normal may grow for a while and then
/// settle.
class RunawayWatch {
 public:
  void restart(double residual) { start_ = last_ = residual; }
  bool runs_away(double residual) {
    growths_ = residual > last_ ? growths_ + 1 : 0;
    last_ = residual;
    if (growths_ < 3 || residual <= 4 * start_) return false;
    growths_ = 0;
    return true;
  }

 private:
  double start_ = 0, last_ = 0;
  int growths_ = 0;
};

double norm_in_double(Eigen::Ref<const Vector> v) { return v.cast<double>().norm(); }

void reserve(SettleWorkspace& w, Index n, Index b) {
  if (w.x.rows() == n && w.x.cols() >= b) return;
  for (Matrix* matrix : {&w.z, &w.x, &w.residual, &w.direction, &w.work}) matrix->resize(n, b);
  w.z_norm.resize(static_cast<std::size_t>(b));
  w.residual_norm.resize(static_cast<std::size_t>(b));
  w.column.resize(static_cast<std::size_t>(b));
}

}  // namespace

Settled settle(const SettleParams& params, Integrator& integrator, const SpectrumBound& bound,
               const LateralOperator& M, ConstMatrixRef z, MatrixRef x, SettleWorkspace& w,
               const SettleObserver& observer) {
  const Index n = z.rows();
  const Index b = z.cols();
  LATERAL_CHECK(M.matrix.rows() == n);
  LATERAL_CHECK(M.matrix.cols() == n);
  LATERAL_CHECK(x.rows() == n);
  LATERAL_CHECK(x.cols() == b);
  reserve(w, n, b);

  // Gather what has to settle at all.
  Index active = 0;
  for (Index j = 0; j < b; ++j) {
    const double norm = norm_in_double(z.col(j));
    if (norm == 0) {
      x.col(j).setZero();
      continue;
    }
    w.z.col(active) = z.col(j);
    w.x.col(active) = x.col(j);
    w.z_norm[static_cast<std::size_t>(active)] = norm;
    w.column[static_cast<std::size_t>(active)] = j;
    ++active;
  }
  const auto in_columns = [&](const auto& work) { M.compute.pass(active, n * active, work); };
  const auto recompute_residual = [&] {
    in_columns([&](Index first, Index columns) {
      w.residual.middleCols(first, columns) = w.z.middleCols(first, columns);
    });
    M.add_product(-1, w.x.leftCols(active), w.residual.leftCols(active));
  };
  const auto start_from_zero = [&] {
    w.x.leftCols(active).setZero();
    w.residual.leftCols(active) = w.z.leftCols(active);
  };
  if (w.x.leftCols(active).isZero(0))
    start_from_zero();
  else
    recompute_residual();
  w.direction.leftCols(active).setZero();

  SpectrumBound current = bound;
  integrator.begin(M, current, params.step);
  RunawayWatch watch;
  watch.restart(std::numeric_limits<double>::infinity());
  Settled result;
  double steps_of_all = 0;
  while (true) {
    if (observer)
      observer(result.steps, w.x.leftCols(active),
               {w.column.data(), static_cast<std::size_t>(active)});
    // Settled columns leave: the last active one takes their place.
    in_columns([&](Index first, Index columns) {
      for (Index j = first; j < first + columns; ++j)
        w.residual_norm[static_cast<std::size_t>(j)] = norm_in_double(w.residual.col(j));
    });
    double largest = 0;
    bool finite = true;
    for (Index j = active; j-- > 0;) {
      const auto at = static_cast<std::size_t>(j);
      const double residual = w.residual_norm[at] / w.z_norm[at];
      finite = finite && std::isfinite(residual);
      largest = std::max(largest, residual);
      if (!(residual <= static_cast<double>(params.tolerance))) continue;
      x.col(w.column[at]) = w.x.col(j);
      result.residual = std::max(result.residual, residual);
      steps_of_all += result.steps;
      --active;
      if (j == active) continue;
      const auto last = static_cast<std::size_t>(active);
      for (Matrix* matrix : {&w.z, &w.x, &w.residual, &w.direction})
        matrix->col(j) = matrix->col(active);
      w.z_norm[at] = w.z_norm[last];
      w.column[at] = w.column[last];
    }
    if (active == 0) break;
    if (!finite || result.steps >= params.max_steps) {
      result.converged = false;
      result.residual = finite ? largest : std::numeric_limits<double>::infinity();
      steps_of_all += static_cast<double>(active) * result.steps;
      for (Index j = 0; j < active; ++j) x.col(w.column[static_cast<std::size_t>(j)]) = w.x.col(j);
      break;
    }

    if (result.steps == 0) watch.restart(largest);
    if (params.step <= 0 && watch.runs_away(largest)) {
      current.largest *= static_cast<Scalar>(1.5);
      integrator.begin(M, current, params.step);
      start_from_zero();
      w.direction.leftCols(active).setZero();
      watch.restart(1);
    }
    integrator.advance(M, {w.x.leftCols(active), w.residual.leftCols(active),
                           w.direction.leftCols(active), w.work.leftCols(active)});
    ++result.steps;
    recompute_residual();
  }
  result.mean_steps = b == 0 ? 0 : steps_of_all / static_cast<double>(b);
  return result;
}

Matrix settle_reference(const LateralOperator& M, ConstMatrixRef z) {
  const Matrix op = M.transposed ? Matrix(M.matrix.transpose()) : Matrix(M.matrix);
  return op.partialPivLu().solve(z);
}

}  // namespace lateral
