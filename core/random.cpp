// Philox and the streams of random numbers made from it.
#include "core/random.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.hpp"

namespace lateral {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
        static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

namespace {

std::uint64_t join(std::uint32_t high, std::uint32_t low) {
  return std::uint64_t{high} << 32 | low;
}

double unit53(std::uint64_t word) { return static_cast<double>(word >> 11) * 0x1p-53; }

/// Not 0, so that the logarithm is finite.
Scalar positive_unit(std::uint32_t word) {
  return (static_cast<Scalar>(word) + Scalar{0.5}) * static_cast<Scalar>(0x1p-32);
}

}  // namespace

RandomStream::RandomStream(std::uint64_t seed, std::uint32_t node, std::uint64_t step,
                           Purpose purpose)
    : counter_{0, static_cast<std::uint32_t>(step),
               static_cast<std::uint32_t>(step >> 32) << 8 | static_cast<std::uint32_t>(purpose),
               node},
      key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)} {
  LATERAL_CHECK(step >> 56 == 0);
}

std::array<std::uint32_t, 4> RandomStream::block(std::uint32_t index) const {
  std::array<std::uint32_t, 4> counter = counter_;
  counter[0] = index;
  return philox(counter, key_);
}

std::uint64_t RandomStream::word64(std::uint64_t index) const {
  LATERAL_CHECK(index >> 33 == 0);
  const std::array<std::uint32_t, 4> words = block(static_cast<std::uint32_t>(index / 2));
  return index % 2 == 0 ? join(words[0], words[1]) : join(words[2], words[3]);
}

double RandomStream::uniform(std::uint64_t index) const { return unit53(word64(index)); }

std::uint64_t RandomStream::below(std::uint64_t index, std::uint64_t n) const {
  LATERAL_CHECK(n > 0);
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(static_cast<Wide>(word64(index)) * n >> 64);
}

void RandomStream::fill_uniform(MatrixRef out, double bound) const {
  LATERAL_CHECK(out.size() >> 33 == 0);
  std::array<std::uint32_t, 4> words{};
  std::uint64_t index = 0;
  for (Index column = 0; column < out.cols(); ++column)
    for (Index row = 0; row < out.rows(); ++row, ++index) {
      const bool first = index % 2 == 0;
      if (first) words = block(static_cast<std::uint32_t>(index / 2));
      const double unit = unit53(first ? join(words[0], words[1]) : join(words[2], words[3]));
      out(row, column) = static_cast<Scalar>(bound * (2.0 * unit - 1.0));
    }
}

void RandomStream::fill_normal(MatrixRef out, double sigma, std::uint64_t first) const {
  LATERAL_CHECK((first + static_cast<std::uint64_t>(out.size())) >> 34 == 0);
  constexpr Index chunk = 256;  // blocks: enough to vectorize, few enough to stay in cache
  using Chunk = Eigen::Array<Scalar, 2 * chunk, 1>;
  Chunk radius = Chunk::Ones(), angle = Chunk::Zero();
  Eigen::Array<Scalar, 2, 2 * chunk> normal;  // a column a pair
  const auto scale = static_cast<Scalar>(sigma);
  const std::uint64_t end = first + static_cast<std::uint64_t>(out.size());
  Index row = 0, column = 0;
  for (std::uint64_t at = first / 4 * 4; at < end; at += 4 * chunk) {
    const Index blocks = std::min(chunk, static_cast<Index>((end - at + 3) / 4));
    for (Index i = 0; i < blocks; ++i) {
      const auto words = block(static_cast<std::uint32_t>(at / 4) + static_cast<std::uint32_t>(i));
      radius[2 * i] = positive_unit(words[0]);
      angle[2 * i] = positive_unit(words[1]);
      radius[2 * i + 1] = positive_unit(words[2]);
      angle[2 * i + 1] = positive_unit(words[3]);
    }
    radius = scale * (-2 * radius.log()).max(0).sqrt();
    angle *= 2 * std::numbers::pi_v<Scalar>;
    normal.row(0) = (radius * angle.cos()).transpose();
    normal.row(1) = (radius * angle.sin()).transpose();
    const std::uint64_t stop = std::min(end, at + 4 * chunk);
    for (std::uint64_t element = std::max(first, at); element < stop; ++element) {
      out(row, column) = normal.data()[element - at];
      if (++row == out.rows()) row = 0, ++column;
    }
  }
}

}  // namespace lateral
