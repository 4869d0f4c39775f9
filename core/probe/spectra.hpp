// Spectra of the matrices of a finished run, for figures of the decorrelation.
#pragma once

#include "core/types.hpp"

namespace lateral {

/// Eigenvalues, largest first, of a matrix of correlation coefficients (n × n) among the units that
/// vary: rows and columns whose diagonal element is NaN are left out (see correlation_matrix()), so
/// that there are as many values as units that vary. Only the lower triangle is read. The values
/// sum to their number; of b samples at most b − 1 are larger than rounding. O(n³), in double
/// precision.
Eigen::VectorXd correlation_eigenvalues(ConstMatrixRef correlation);

/// Singular values of A (m × n), largest first: min(m, n) values, the square roots of the
/// eigenvalues of A Aᵀ or Aᵀ A, whichever is smaller. In double precision; values below some 1e-8
/// of the largest are rounding. O(m n min(m, n)).
Eigen::VectorXd singular_values(ConstMatrixRef A);

}  // namespace lateral
