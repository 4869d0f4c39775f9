// The scalar, the matrices and the orientation that all of core uses.
#pragma once

#include <Eigen/Core>

namespace lateral {

/// Training runs in float32; the test suite compiles the same sources once more
/// in float64, where the laws of the kernels hold to rounding.
#ifdef LATERAL_DOUBLE
using Scalar = double;
#else
using Scalar = float;
#endif

using Index = Eigen::Index;

/// Column-major. A batch of b samples of n units is (n × b): a column a sample,
/// so that a sample is contiguous and a batch is the row-major (b × n) of the wire.
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;
using MatrixRef = Eigen::Ref<Matrix>;
using VectorRef = Eigen::Ref<Vector>;
using ConstMatrixRef = const Eigen::Ref<const Matrix>&;
using ConstVectorRef = const Eigen::Ref<const Vector>&;

}  // namespace lateral
