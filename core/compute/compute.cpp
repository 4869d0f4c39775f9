// How a product is cut.
#include "core/compute/compute.hpp"

#include <algorithm>
#include <bit>

#include "core/check.hpp"

namespace lateral {
namespace {

/// Rows of a piece: an eighth of them, so that two threads finish at about the same time whichever
/// is disturbed; not so few that packing the other factor costs more than it saves.
Index rows_of_piece(Index rows) {
  constexpr Index multiple = 16, least = 96;
  const Index eighth = (rows + 7) / 8;
  return std::max(least, (eighth + multiple - 1) / multiple * multiple);
}

Operand rows_of(const Operand& A, Index first, Index rows) {
  const std::uint16_t* rounded = A.rounded;
  if (rounded != nullptr) rounded += A.transposed ? first * A.rounded_stride : first;
  if (A.transposed) return {A.matrix.middleCols(first, rows), true, rounded, A.rounded_stride};
  return {A.matrix.middleRows(first, rows), false, rounded, A.rounded_stride};
}

Operand columns_of(const Operand& B, Index first, Index columns) {
  const std::uint16_t* rounded = B.rounded;
  if (rounded != nullptr) rounded += first * B.rounded_stride;
  return {B.matrix.middleCols(first, columns), false, rounded, B.rounded_stride};
}

}  // namespace

void round_to_bf16(ConstMatrixRef m, std::uint16_t* out) {
  for (Index column = 0; column < m.cols(); ++column, out += m.rows()) {
    const Scalar* const values = m.col(column).data();
    for (Index i = 0; i < m.rows(); ++i) {
      const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(values[i]));
      out[i] = static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
    }
  }
}

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

Operand Compute::prepared(ConstMatrixRef m, std::vector<std::uint16_t>& buffer) const {
  if (params_.precision != Precision::bf16) return {m};
  buffer.resize(static_cast<std::size_t>(m.size()));
  pass(m.cols(), m.size(), [&](Index first, Index columns) {
    round_to_bf16(m.middleCols(first, columns), buffer.data() + first * m.rows());
  });
  return {m, false, buffer.data(), m.rows()};
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
  const Operand all = accumulate ? Operand{in} : prepared(in, rounded_in_);
  // Once for all samples; a factor that is used for one product only the product rounds itself.
  const bool round_A = !accumulate && A.rounded == nullptr && samples < in.cols();
  const Operand rounded_A = round_A ? prepared(A.matrix, rounded_A_) : A;
  const Operand whole{A.matrix, A.transposed, rounded_A.rounded, rounded_A.rounded_stride};
  for_columns(A.rows(), rows_of_piece(A.rows()), operations, [&](Index first, Index rows) {
    const Operand piece = rows_of(whole, first, rows);
    for (Index sample = 0; sample < in.cols(); sample += samples) {
      const Index columns = std::min(samples, in.cols() - sample);
      auto result = out.block(first, sample, rows, columns);
      if (accumulate)
        product_->multiply(alpha, piece, columns_of(all, sample, columns), 1, result);
      else
        multiply(piece, columns_of(all, sample, columns), result);
    }
  });
}

const Compute& plain_compute() {
  static const Compute plain{{find_entry(product_table(), "eigen"), Precision::float32, 1, 0}};
  return plain;
}

}  // namespace lateral
