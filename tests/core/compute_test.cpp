// Products and threads: every library against Eigen's, and bits that do not depend on who computes.
#include "core/compute/compute.hpp"

#include <atomic>
#include <stdexcept>

#include "tests/core/support.hpp"

namespace lateral {
namespace {

using test::normal;
using test::s;

TEST_CASE(
    "workers do each piece once, whatever the number of threads, and pass on what is thrown") {
  for (const int threads : {1, 2, 5}) {
    Workers workers{threads};
    CHECK(workers.threads() == threads);
    for (const Index count : {0, 1, 2, 7, 1000}) {
      CAPTURE(threads);
      CAPTURE(count);
      std::vector<std::atomic<int>> done(static_cast<std::size_t>(count));
      for (int round = 0; round < 20; ++round)
        workers.run(count, [&](Index i) { ++done[static_cast<std::size_t>(i)]; });
      for (const std::atomic<int>& times : done) CHECK(times == 20);
    }
    CHECK_THROWS_AS(workers.run(10,
                                [](Index i) {
                                  if (i == 7) throw std::runtime_error("piece 7");
                                }),
                    std::runtime_error);
    int after = 0;
    workers.run(1, [&](Index) { ++after; });
    CHECK(after == 1);
  }
}

/// Σ_k A_ik B_kj by its definition, in double.
Eigen::MatrixXd defined(const Operand& A, const Operand& B) {
  const auto at = [](const Operand& m, Index i, Index j) {
    return static_cast<double>(m.transposed ? m.matrix(j, i) : m.matrix(i, j));
  };
  Eigen::MatrixXd C = Eigen::MatrixXd::Zero(A.rows(), B.cols());
  for (Index i = 0; i < C.rows(); ++i)
    for (Index j = 0; j < C.cols(); ++j)
      for (Index k = 0; k < A.cols(); ++k) C(i, j) += at(A, i, k) * at(B, k, j);
  return C;
}

TEST_CASE("every library multiplies as the definition does, transposed, scaled, added, in blocks") {
  for (const auto& entry : product_table()) {
    const std::unique_ptr<MatrixProduct> product = entry.make();
    CHECK(product->description().size() > 5);
    for (const Index m : {1, 3, 17, 40})
      for (const Index n : {1, 5, 33})
        for (const Index k : {1, 8, 50})
          for (const bool a_transposed : {false, true})
            for (const bool b_transposed : {false, true}) {
              CAPTURE(entry.name);
              CAPTURE(m);
              CAPTURE(n);
              CAPTURE(k);
              const Matrix a = a_transposed ? normal(k + 2, m, 1) : normal(m + 2, k, 1);
              const Matrix b = b_transposed ? normal(n + 1, k, 2) : normal(k + 1, n, 2);
              // Blocks, so that columns lie further apart than they are long.
              const Operand A{a_transposed ? a.topRows(k) : a.topRows(m), a_transposed};
              const Operand B{b_transposed ? b.topRows(n) : b.topRows(k), b_transposed};
              const Eigen::MatrixXd expected = defined(A, B);
              Matrix frame = normal(m + 3, n, 3);
              const Matrix before = frame;
              const double bound = 4 * static_cast<double>(k) * test::epsilon * 10;
              product->multiply(s(0.5), A, B, 1, frame.topRows(m));
              CHECK((frame.topRows(m).cast<double>() - before.topRows(m).cast<double>() -
                     0.5 * expected)
                        .cwiseAbs()
                        .maxCoeff() < bound);
              CHECK(test::same_bits(frame.bottomRows(3), before.bottomRows(3)));
              frame.setConstant(std::numeric_limits<Scalar>::quiet_NaN());  // not to be read
              product->multiply(1, A, B, 0, frame.topRows(m));
              CHECK((frame.topRows(m).cast<double>() - expected).cwiseAbs().maxCoeff() < bound);
              // Rounded factors: 8 bits each.
              product->multiply_bf16(A, B, frame.topRows(m));
              const double wrong =
                  (frame.topRows(m).cast<double>() - expected).cwiseAbs().maxCoeff();
              CHECK(wrong < 0.02 * std::sqrt(static_cast<double>(k)) * 6);
              CHECK(wrong > 1e-5);  // it was rounded
            }
  }
}

TEST_CASE("rounding to bfloat16 is to nearest, ties to even") {
  // 1 + 2^-8 lies between 1 and 1 + 2^-7, 1 + 3 2^-8 between 1 + 2^-7 and 1 + 2^-6.
  Matrix m(5, 1);
  m << s(1), s(1.00390625), s(1.01171875), s(-1.0040), s(3.389531389e38);
  std::array<std::uint16_t, 5> bits{};
  round_to_bf16(m, bits.data());
  CHECK(bits == std::array<std::uint16_t, 5>{0x3F80, 0x3F80, 0x3F82, 0xBF81, 0x7F7F});
  const Matrix many = normal(64, 16, 9);
  std::vector<std::uint16_t> ours(1024);
  round_to_bf16(many, ours.data());
  for (Index i = 0; i < many.size(); ++i)
    CHECK(ours[static_cast<std::size_t>(i)] ==
          Eigen::bfloat16(static_cast<float>(many.data()[i])).value);
}

TEST_CASE("the bits of a product depend neither on the threads nor on the samples beside it") {
  for (const auto& entry : product_table())
    for (const Precision precision : {Precision::float32, Precision::bf16})
      for (const bool transposed : {false, true}) {
        CAPTURE(entry.name);
        CAPTURE(transposed);
        const Index m = 300, k = 260, b = 140;
        const Matrix A = transposed ? normal(k, m, 1) : normal(m, k, 1);
        const Matrix in = normal(k, b, 2);
        Matrix one(m, b), four(m, b), pieces(m, b);
        const Compute alone{{entry.make, precision, 1, 32}},
            together{{entry.make, precision, 4, 32}};
        alone.apply({A, transposed}, in, one);
        for (int round = 0; round < 5; ++round) {
          together.apply({A, transposed}, in, four);
          CHECK(test::same_bits(one, four));
        }
        for (Index first = 0; first < b; first += 64) {
          const Index columns = std::min<Index>(64, b - first);
          alone.apply({A, transposed}, in.middleCols(first, columns),
                      pieces.middleCols(first, columns));
        }
        CHECK(test::same_bits(one, pieces));
        const double scale = static_cast<double>(one.cwiseAbs().maxCoeff());
        Matrix added = one;
        alone.add_product(-1, {A, transposed}, in, added);
        CHECK(test::max_abs(added) <
              scale * (precision == Precision::bf16 ? 0.05 : 100 * test::epsilon));
      }
}

}  // namespace
}  // namespace lateral
