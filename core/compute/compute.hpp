// Compute: what a node multiplies with, a library of products and the node's threads.
#pragma once

#include "core/compute/product.hpp"
#include "core/compute/workers.hpp"

namespace lateral {

enum class Precision {
  float32,
  bf16,  ///< factors rounded to bfloat16, sums and all state in float32
};

struct ComputeParams {
  MakeMatrixProduct* product = nullptr;
  Precision precision = Precision::float32;
  int threads = 1;
  /// Samples that one product takes at most; 0: the whole batch at once. What reaches a sample is
  /// then the same whether its batch comes whole or in pieces that are multiples of this.
  Index samples_per_product = 0;
};

/// How a product is cut into pieces depends on its shape alone, never on the number of threads; so
/// neither do the bits. Constant for its users; one thread at a time computes with it (all
/// may with plain_compute(), which keeps nothing).
class Compute {
 public:
  explicit Compute(const ComputeParams& params);

  /// out ← op(A) in, in the precision of the parameters.   in (k × b), out (m × b): a column a
  /// sample
  void apply(const Operand& A, ConstMatrixRef in, MatrixRef out) const;
  /// out ← out + alpha op(A) in, always in Scalar: settling needs every bit of its residual.
  void add_product(Scalar alpha, const Operand& A, ConstMatrixRef in, MatrixRef out) const;
  /// Rounds m into `buffer` once for many products, if the precision is bf16.
  Operand prepared(ConstMatrixRef m, std::vector<std::uint16_t>& buffer) const;
  /// C ← op(A) op(B), not cut, on the calling thread: for the inside of a piece.
  void multiply(const Operand& A, const Operand& B, MatrixRef C) const;
  /// The library itself, in Scalar.
  const MatrixProduct& product() const { return *product_; }

  /// piece(first, columns) over blocks of at most `width` of n columns, on the node's threads where
  /// the work (in floating point operations) is worth waking them.
  template <class Piece>
  void for_columns(Index n, Index width, double operations, Piece&& piece) const {
    const Index count = (n + width - 1) / width;
    const auto one = [&](Index i) { piece(i * width, std::min(width, n - i * width)); };
    if (operations < parallel_operations_min)
      for (Index i = 0; i < count; ++i) one(i);
    else
      workers_.run(count, one);
  }

  /// A pass over the columns of a matrix of n columns and so many values, in blocks.
  template <class Piece>
  void pass(Index n, Index values, Piece&& piece) const {
    constexpr Index width = 32;
    for_columns(n, width, pass_operations * static_cast<double>(values), piece);
  }

  Index samples_per_product() const { return params_.samples_per_product; }

  /// Waking a thread costs a few µs; this much is 80 µs at 50 GFLOP/s.
  static constexpr double parallel_operations_min = 4e6;
  /// What a pass over memory counts for, each element.
  static constexpr double pass_operations = 16;

 private:
  void apply_rows(Scalar alpha, const Operand& A, ConstMatrixRef in, bool accumulate,
                  MatrixRef out) const;

  ComputeParams params_;
  std::unique_ptr<MatrixProduct> product_;
  mutable Workers workers_;
  mutable std::vector<std::uint16_t> rounded_in_, rounded_A_;
};

/// Eigen's products on the calling thread: the default of everything that computes.
const Compute& plain_compute();

}  // namespace lateral
