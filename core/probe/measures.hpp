// What is measured of a layer while it learns.
#pragma once

#include "core/types.hpp"

namespace lateral {

/// Mean over i ≠ j of ρ_ij², ρ the correlation coefficients of the rows of x (n × b) about their
/// batch means; rows that do not vary are left out. 0 for fewer than two varying rows.
/// Computed from the b × b Gram matrix, ‖X Xᵀ‖_F = ‖Xᵀ X‖_F: O(n b²).
double mean_squared_correlation(ConstMatrixRef x);
/// The same from the n × n correlation matrix: O(n² b).
double mean_squared_correlation_reference(ConstMatrixRef x);

/// Angle in degrees between two matrices of the same shape seen as vectors; 90 if either is zero.
double angle_degrees(ConstMatrixRef a, ConstMatrixRef b);

}  // namespace lateral
