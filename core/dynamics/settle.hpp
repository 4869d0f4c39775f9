// settle(): relaxes lateral dynamics to their fixed point, sample by sample as they arrive there.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "core/dynamics/integrator.hpp"
#include "core/types.hpp"

namespace lateral {

struct SettleParams {
  Scalar tolerance = static_cast<Scalar>(1e-4);  ///< of ‖z − M x‖ / ‖z‖, for every sample
  int max_steps = 1000;                          ///< of the slowest sample
  Scalar step = 0;  ///< h = dt/τ; 0: from the bound on the spectrum. Not used by chebyshev.
};

/// What a settling took.
struct Settled {
  bool converged = true;  ///< every sample within the tolerance
  int steps = 0;          ///< of the slowest sample
  double mean_steps = 0;  ///< over the samples
  double residual = 0;    ///< largest ‖z − M x‖ / ‖z‖ over the samples (0 where z = 0)
};

/// Sees the samples that are still settling, before the first step (0) and after each.
///   x       (n × active) their activity
///   column  (active)     which column of z each of them is
using SettleObserver =
    std::function<void(int step, ConstMatrixRef x, std::span<const Index> column)>;

/// Buffers of one settling; grow on first use, then never allocate.
struct SettleWorkspace {
  Matrix z, x, residual, direction, work;     // (n × b)
  std::vector<double> z_norm, residual_norm;  // (b)
  std::vector<Index> column;                  // (b) where an active column came from
};

/// Lateral dynamics  τ dx/dt = z − op(M) x, stepped until ‖z − op(M) x‖ ≤ tolerance · ‖z‖.
///   M   (n × n) lateral coupling, real positive spectrum within `bound`
///   z   (n × b) drive, a column a sample
///   x   (n × b) in: where to start (zero, or a previous answer); out: settled activity
/// Fixed point: x = op(M)⁻¹ z, which settle_reference() solves directly. A sample that has settled
/// leaves the batch, so later steps cost only what is still moving. The residual is recomputed from
/// z and x at every step, never updated by recurrence, so what is reported is what is true.
/// Cost: one (n×n)·(n×active) product a step for the residual plus what the integrator needs;
/// starting from x = 0 the first residual is z and costs nothing. A sample with z = 0 is at its
/// fixed point 0 at once.
/// A bound that underestimates the spectrum makes an integrator diverge: unless the user fixed the
/// step, residuals that keep growing widen the bound by 1.5 and restart what is still moving from
/// zero; the steps spent count.
/// Not converged: steps ran out, or a value stopped being finite (then x holds what there was).
/// An observer changes nothing: the same bits with and without.
/// Source: Ahmad 2024, appendix C.
Settled settle(const SettleParams& params, Integrator& integrator, const SpectrumBound& bound,
               const LateralOperator& M, ConstMatrixRef z, MatrixRef x, SettleWorkspace& workspace,
               const SettleObserver& observer = {});

/// x = op(M)⁻¹ z by LU decomposition: the reference, O(n³).
Matrix settle_reference(const LateralOperator& M, ConstMatrixRef z);

}  // namespace lateral
