// Eigen's own matrix products: always there, and what the others are tested against.
#include "core/compute/product.hpp"

namespace lateral::product {
namespace {

class Eigen_ final : public MatrixProduct {
 public:
  void multiply(Scalar alpha, const Operand& A, const Operand& B, Scalar beta,
                MatrixRef C) const override {
    if (beta == 0)
      C.setZero();
    else if (beta != 1)
      C *= beta;
    if (A.transposed && B.transposed)
      C.noalias() += (alpha * A.matrix.transpose()) * B.matrix.transpose();
    else if (A.transposed)
      C.noalias() += (alpha * A.matrix.transpose()) * B.matrix;
    else if (B.transposed)
      C.noalias() += (alpha * A.matrix) * B.matrix.transpose();
    else
      C.noalias() += (alpha * A.matrix) * B.matrix;
  }

  /// Exact products of rounded factors: what the instruction computes, without its speed.
  void multiply_bf16(const Operand& A, const Operand& B, MatrixRef C) const override {
    const Matrix a = rounded(A), b = rounded(B);
    multiply(1, {a, A.transposed}, {b, B.transposed}, 0, C);
  }

  std::string description() const override {
    return "Eigen " + std::to_string(EIGEN_WORLD_VERSION) + "." +
           std::to_string(EIGEN_MAJOR_VERSION) + "." + std::to_string(EIGEN_MINOR_VERSION) + ", " +
           Eigen::SimdInstructionSetsInUse();
  }

 private:
  static Matrix rounded(const Operand& m) {
    return m.matrix.cast<Eigen::bfloat16>().cast<Scalar>();
  }
};

}  // namespace

std::unique_ptr<MatrixProduct> eigen() { return std::make_unique<Eigen_>(); }

}  // namespace lateral::product
