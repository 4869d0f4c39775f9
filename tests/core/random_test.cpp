// Random numbers: the published answers, and that every element is a function of its place.
#include "core/random.hpp"

#include <set>

#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

using Words = std::array<std::uint32_t, 4>;

TEST_CASE("philox gives the published answers") {
  constexpr std::uint32_t ones = 0xffffffff;
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({ones, ones, ones, ones}, {ones, ones}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a stream's counter holds the block, the step, the purpose and the node") {
  const RandomStream stream(0x0123456789abcdef, 7, 0x00a1b2c3d4e5f607, Purpose::node_noise);
  CHECK(stream.block(5) == philox({5, 0xd4e5f607, 0xa1b2c303, 7}, {0x89abcdef, 0x01234567}));
}

TEST_CASE("streams that differ in seed, node, step or purpose differ") {
  std::set<Words> seen;
  const auto add = [&](std::uint64_t seed, std::uint32_t node, std::uint64_t step,
                       Purpose purpose) {
    seen.insert(RandomStream(seed, node, step, purpose).block(0));
  };
  add(1, 2, 3, Purpose::node_noise);
  add(2, 2, 3, Purpose::node_noise);
  add(1 | std::uint64_t{1} << 40, 2, 3, Purpose::node_noise);
  add(1, 3, 3, Purpose::node_noise);
  add(1, 2, 4, Purpose::node_noise);
  add(1, 2, 3 | std::uint64_t{1} << 40, Purpose::node_noise);
  add(1, 2, 3, Purpose::shuffle);
  CHECK(seen.size() == 7);
}

TEST_CASE("a filled matrix has the same element wherever the matrix starts or ends") {
  const RandomStream stream(7, 1, 5, Purpose::initial_weight);
  Matrix large(9, 11), small(9, 5), flat(99, 1);
  SUBCASE("uniform") {
    stream.fill_uniform(large, 0.5);
    stream.fill_uniform(small, 0.5);
    stream.fill_uniform(flat, 0.5);
    for (Index i = 0; i < large.size(); ++i)
      CHECK(large.data()[i] == s(0.5 * (2 * stream.uniform(static_cast<std::uint64_t>(i)) - 1)));
  }
  SUBCASE("normal") {
    stream.fill_normal(large, 2.0);
    stream.fill_normal(small, 2.0);
    stream.fill_normal(flat, 2.0);
  }
  CHECK(same_bits(large.leftCols(5), small));
  CHECK(same_bits(large.reshaped(), flat));
  Matrix frame = Matrix::Zero(12, 5);  // a block inside a larger matrix
  SUBCASE("block") {
    stream.fill_normal(small, 2.0);
    stream.fill_normal(frame.topRows(9), 2.0);
    CHECK(same_bits(frame.topRows(9), small));
    CHECK(frame.bottomRows(3).isZero(0));
  }
}

TEST_CASE("uniform and normal numbers have the moments of their law") {
  const Index n = 40000;
  const double standard_error = 1 / std::sqrt(static_cast<double>(n));
  const RandomStream stream(3, 0, 0, Purpose::generated_data);
  Matrix m(n, 1);
  stream.fill_uniform(m, 2.0);
  CHECK(m.cwiseAbs().maxCoeff() <= 2);
  CHECK(std::abs(static_cast<double>(m.mean())) < 5 * 2 / std::sqrt(3.0) * standard_error);
  CHECK(std::abs(static_cast<double>(m.array().square().mean()) - 4.0 / 3) < 8 * standard_error);
  stream.fill_normal(m, 3.0);
  m /= 3;
  CHECK(std::abs(static_cast<double>(m.mean())) < 5 * standard_error);
  CHECK(std::abs(static_cast<double>(m.array().square().mean()) - 1) < 5 * 1.5 * standard_error);
  CHECK(std::abs(static_cast<double>(m.array().square().square().mean()) - 3) <
        5 * 10 * standard_error);
  // Neighbours come from the same pair of words.
  double product = 0;
  for (Index i = 0; i + 1 < n; i += 2) product += static_cast<double>(m(i) * m(i + 1));
  CHECK(std::abs(product * 2 / static_cast<double>(n)) < 5 * 1.5 * standard_error);
}

TEST_CASE("below() stays below and reaches every value") {
  const RandomStream stream(3, 0, 0, Purpose::shuffle);
  for (const std::uint64_t n : {1u, 2u, 3u, 10u}) {
    CAPTURE(n);
    std::set<std::uint64_t> seen;
    for (std::uint64_t i = 0; i < 300; ++i) seen.insert(stream.below(i, n));
    CHECK(seen.size() == n);
    CHECK(*seen.rbegin() == n - 1);
  }
}
