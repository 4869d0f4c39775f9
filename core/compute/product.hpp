// MatrixProduct: the library that multiplies matrices, one fixed choice per run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/table.hpp"
#include "core/types.hpp"

namespace lateral {

/// A matrix or its transpose, without a copy.
struct Operand {
  Eigen::Ref<const Matrix> matrix;
  bool transposed = false;
  /// The same matrix rounded to bfloat16, or null; its columns are
  /// `rounded_stride` apart.
  const std::uint16_t* rounded = nullptr;
  Index rounded_stride = 0;
  Index rows() const { return transposed ? matrix.cols() : matrix.rows(); }
  Index cols() const { return transposed ? matrix.rows() : matrix.cols(); }
};

/// Never uses threads of its own, so that who computes is decided in one place (Compute); any
/// number of threads may call it. The same shapes and values give the same bits on one machine.
class MatrixProduct {
 public:
  virtual ~MatrixProduct() = default;
  /// C ← alpha op(A) op(B) + beta C in Scalar.  beta = 0: C is not read.
  virtual void multiply(Scalar alpha, const Operand& A, const Operand& B, Scalar beta,
                        MatrixRef C) const = 0;
  /// C ← op(A) op(B): the factors rounded to bfloat16 (8 bits of precision), sums in float32.
  virtual void multiply_bf16(const Operand& A, const Operand& B, MatrixRef C) const = 0;
  /// Whether it can do that on this processor.
  virtual bool multiplies_bf16() const { return true; }
  /// Name, version and instruction set: what the bits depend on.
  virtual std::string description() const = 0;
};

using MakeMatrixProduct = std::unique_ptr<MatrixProduct>();

/// out ← m rounded to bfloat16, to nearest, ties to even; its columns m.rows() apart.
void round_to_bf16(ConstMatrixRef m, std::uint16_t* out);

/// Every file of core/compute/product/ that this build has the library for, by name.
std::span<const TableEntry<MakeMatrixProduct>> product_table();

/// The fastest one of this build: onednn where it was found, else eigen.
std::string default_product();

}  // namespace lateral
