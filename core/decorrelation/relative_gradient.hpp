// The relative-gradient family of decorrelation rules, dR = −η Q R, and its row-local twin in M.
#pragma once

#include "core/decorrelation/rule.hpp"

namespace lateral {

/// Q = scale · C + diag(diagonal), with C = (1/S) Σ x xᵀ: what a rule of the family drives to zero.
struct RelativeGradient {
  Scalar scale;
  Vector diagonal;  ///< (n)
};

/// <x_i²> (n) over the samples X (n × S).
Vector mean_square(ConstMatrixRef X);

/// Closed form:  R ← R − η Q R.
/// Settled:      M ← M + η M Q, with M x = zc:  M_ij ← M_ij (1 + η diagonal_j) + η scale <zc_i
/// x_j>, the exact inverse of the backward-Euler step R ← (I + η Q)⁻¹ R. A synapse i ← j reads its
/// own weight, the drive of its unit, and the activity of the other: no sum over the layer. A
/// diagonal that would take a weight through zero (η diagonal_j ≤ −1) is stopped at
/// denominator_min, and the step reported as shortened.  O(S n²), in one pass through the matrix.
/// Source: Cardoso & Laheld 1996 (relative gradients); Ahmad 2024, appendix C (M for R).
DecorrelationUpdate update_relative(const DecorrelationView& view, const RelativeGradient& gradient,
                                    Scalar eta, DecorrelationState& state, UpdateWorkspace& work);

}  // namespace lateral
