// How a product is cut.
#include "core/compute/compute.hpp"

#include <algorithm>

#include "core/check.hpp"

namespace lateral {
namespace {

/// Rows of a piece: an eighth of them, so that two threads finish at about the same time whoever is
/// disturbed; not so few that packing the other factor costs more than it saves.
Index rows_of_piece(Index rows) {
  constexpr Index multiple = 16, least = 96;
  const Index eighth = (rows + 7) / 8;
  return std::max(least, (eighth + multiple - 1) / multiple * multiple);
}

Operand rows_of(const Operand& A, Index first, Index rows) {
  if (A.transposed) return {A.matrix.middleCols(first, rows), true};
  return {A.matrix.middleRows(first, rows), false};
}

}  // namespace

std::string default_product() {
  return find_entry(product_table(), "onednn") != nullptr ? "onednn" : "eigen";
}

Compute::Compute(const ComputeParams& params) : params_(params), workers_(params.threads) {
  LATERAL_CHECK(params.product != nullptr);
  LATERAL_CHECK(params.threads >= 1);
  product_ = params.product();
}

void Compute::apply(const Operand& A, ConstMatrixRef in, MatrixRef out) const {
  apply_rows(1, A, in, false, out);
}

void Compute::add_product(Scalar alpha, const Operand& A, ConstMatrixRef in, MatrixRef out) const {
  apply_rows(alpha, A, in, true, out);
}

void Compute::multiply(const Operand& A, const Operand& B, MatrixRef C) const {
  if (params_.precision == Precision::bf16)
    product_->multiply_bf16(A, B, C);
  else
    product_->multiply(1, A, B, 0, C);
}

void Compute::apply_rows(Scalar alpha, const Operand& A, ConstMatrixRef in, bool accumulate,
                         MatrixRef out) const {
  const Index samples =
      params_.samples_per_product > 0 ? params_.samples_per_product : std::max<Index>(1, in.cols());
  const double operations = 2.0 * static_cast<double>(A.rows()) * static_cast<double>(A.cols()) *
                            static_cast<double>(in.cols());
  for_columns(A.rows(), rows_of_piece(A.rows()), operations, [&](Index first, Index rows) {
    const Operand piece = rows_of(A, first, rows);
    for (Index sample = 0; sample < in.cols(); sample += samples) {
      const Index columns = std::min(samples, in.cols() - sample);
      auto result = out.block(first, sample, rows, columns);
      if (accumulate)
        product_->multiply(alpha, piece, {in.middleCols(sample, columns)}, 1, result);
      else
        multiply(piece, {in.middleCols(sample, columns)}, result);
    }
  });
}

const Compute& plain_compute() {
  static const Compute plain{
      {find_entry(product_table(), "eigen"), Precision::float32, 1, 0}};
  return plain;
}

}  // namespace lateral
