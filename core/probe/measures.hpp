// What is measured of a layer while it learns.
#pragma once

#include "core/types.hpp"

namespace lateral {

/// The correlation coefficients (n × n) of the rows of x (n × b) about their batch means; NaN where
/// one of the two does not vary.
Eigen::MatrixXd correlation_matrix(ConstMatrixRef x);

/// Mean over i ≠ j of ρ_ij², ρ the correlation coefficients of the rows of x (n × b) about their
/// batch means; rows that do not vary are left out. 0 for fewer than two varying rows.
/// Computed from the b × b Gram matrix, ‖X Xᵀ‖_F = ‖Xᵀ X‖_F: O(n b²).
double mean_squared_correlation(ConstMatrixRef x);
/// The same from the n × n correlation matrix: O(n² b).
double mean_squared_correlation_reference(ConstMatrixRef x);

/// Effective rank of the covariance C of the rows of x (n × b): (tr C)² / ‖C‖²_F, the number of
/// equally strong directions that would be as spread out; 0 if nothing varies. O(n b²).
double effective_rank(ConstMatrixRef x);

/// λ_max / λ_min of the covariance of the rows of x (n × b); infinite where b ≤ n or a direction
/// does not vary. O(n² b + n³).
double condition_number(ConstMatrixRef x);

/// Share of the rows of x that do not vary by more than rounding.
double constant_share(ConstMatrixRef x);

/// Kronecker-factored natural gradient of a layer (units × inputs):
///   S⁻¹ G A⁻¹,  G = (1/b) δ zᵀ,  A = (1/b) z zᵀ,  S = (1/b) δ δᵀ (I if not `both`),
/// the factors damped by natural_damping times their mean eigenvalue.
///   delta (units × b): ∂loss/∂a of each sample,  z (inputs × b)
/// Source: Ahmad 2024, eqs 5–8; Martens & Grosse 2015.
Eigen::MatrixXd natural_gradient(ConstMatrixRef delta, ConstMatrixRef z, bool both);
inline constexpr double natural_damping = 1e-3;

/// Angle in degrees between two matrices of the same shape seen as vectors; 90 if either is zero.
double angle_degrees(ConstMatrixRef a, ConstMatrixRef b);

}  // namespace lateral
