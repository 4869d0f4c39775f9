// The low-rank updates of a decorrelating matrix R or of its inverse M = R⁻¹, with the gain.
#pragma once

#include "core/compute/compute.hpp"
#include "core/types.hpp"

namespace lateral {

// Throughout: n units, S samples, X (n × S) decorrelated samples x_s, C = (1/S) X Xᵀ,
// G = diag(gain) (n), η > 0. No n×n by n×n product anywhere: each costs O(S n²) and goes through
// the matrix once. Each pair of an R and an M form keeps R M = I exactly (up to rounding).

/// Buffers of the kernels; grow on first use.
struct UpdateWorkspace {
  Matrix samples;  // Xᵀ (S × n)
  Matrix inner;    // (S × n)
  Matrix gram;     // (S × S)
};

/// out ← out + alpha A Bᵀ: outer products over samples.   A (n × S), B (m × S), out (n × m)
void add_outer_product(Scalar alpha, ConstMatrixRef A, ConstMatrixRef B, MatrixRef out,
                       const Compute& compute);

/// R ← G (R − η C R), computed as G (R − (η/S) X (Xᵀ R)).          Source: Ahmad 2024, section 3
/// Reads and writes R once, a block of columns at a time.
void update_inverse_exact(MatrixRef R, ConstMatrixRef X, Scalar eta, ConstVectorRef gain,
                          UpdateWorkspace& work, const Compute& compute = plain_compute());

/// update_inverse_exact for one sample, deferred so that it can be done in the next pass through R.
struct RankOneUpdate {
  Vector x;
  Vector gain;
  Scalar eta = 0;
  bool waiting = false;  ///< the other members are valid
};
/// R ← G (R − η x (xᵀ R)) column by column (nothing if `update` is null), and out ← R v with the
/// new R in the same pass (nothing if v is empty): one read and one write of R for both. The bits
/// of R and out are the same whether this is one call or two.  Never allocates.
void update_and_multiply(MatrixRef R, const RankOneUpdate* update, ConstVectorRef v, VectorRef out);

/// R ← G (I + η C)⁻¹ R: the backward-Euler twin of the above, stable for every η. Computed as
/// G (R − (η/S) X (I + (η/S) Xᵀ X)⁻¹ Xᵀ R).
void update_inverse_implicit(MatrixRef R, ConstMatrixRef X, Scalar eta, ConstVectorRef gain,
                             UpdateWorkspace& work, const Compute& compute = plain_compute());

/// The rate that was used, and whether that is less than the one asked for.
struct GuardedRate {
  Scalar eta;
  bool shortened;
};

/// The largest rate ≤ eta that keeps every eigenvalue of I − (η/S) Xᵀ X at or above
/// denominator_min, so that no step makes M singular or flips it. O(S² n): a Cholesky factorization
/// shows whether eta is small enough; the eigenvalues are computed only if it is not.
GuardedRate guard_rate(ConstMatrixRef X, Scalar eta, UpdateWorkspace& work);
inline constexpr Scalar denominator_min = static_cast<Scalar>(0.01);

/// M ← (M + η u xᵀ / (1 − η ‖x‖²)) G⁻¹: Sherman–Morrison, the inverse of update_inverse_exact for
/// S = 1.   u = M x (n), "the total decorrelating signal", measurable at each unit.
/// Source: Ahmad 2024, appendix C.   REQUIRES: a rate from guard_rate(). Never allocates.
void update_lateral_sherman_morrison(MatrixRef M, ConstVectorRef u, ConstVectorRef x, Scalar eta,
                                     ConstVectorRef gain);

/// M ← (M + (η/S) U (I − (η/S) Xᵀ X)⁻¹ Xᵀ) G⁻¹: Woodbury, the inverse of update_inverse_exact.
///   U = M X (n × S).   REQUIRES: a rate from guard_rate()
void update_lateral_woodbury(MatrixRef M, ConstMatrixRef U, ConstMatrixRef X, Scalar eta,
                             ConstVectorRef gain, UpdateWorkspace& work,
                             const Compute& compute = plain_compute());

/// M ← (M + (η/S) Z Xᵀ) G⁻¹, Z (n × S) the drive: an outer product of what each synapse sees, no
/// denominator, no solve; with Z = M X the inverse of update_inverse_implicit.
void update_lateral_implicit(MatrixRef M, ConstMatrixRef Z, ConstMatrixRef X, Scalar eta,
                             ConstVectorRef gain, const Compute& compute = plain_compute());

/// The same by their definitions, O(n³): R' = G (I − η C) R, or G (I + η C)⁻¹ R.
Matrix update_inverse_exact_reference(ConstMatrixRef R, ConstMatrixRef X, Scalar eta,
                                      ConstVectorRef gain);
Matrix update_inverse_implicit_reference(ConstMatrixRef R, ConstMatrixRef X, Scalar eta,
                                         ConstVectorRef gain);

}  // namespace lateral
