// Philox and the streams of random numbers made from it.
#include "core/random.hpp"

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

/// In (0, 1), both ends excluded: the logarithm below is always finite.
double open_unit32(std::uint32_t word) { return (static_cast<double>(word) + 0.5) * 0x1p-32; }

/// Two independent N(0, 1) from two words.
std::array<double, 2> box_muller(std::uint32_t radius_word, std::uint32_t angle_word) {
  const double radius = std::sqrt(-2.0 * std::log(open_unit32(radius_word)));
  const double angle = 2.0 * std::numbers::pi * open_unit32(angle_word);
  return {radius * std::cos(angle), radius * std::sin(angle)};
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

void RandomStream::fill_normal(MatrixRef out, double sigma) const {
  LATERAL_CHECK(out.size() >> 34 == 0);
  std::array<double, 4> normal{};
  std::uint64_t index = 0;
  for (Index column = 0; column < out.cols(); ++column)
    for (Index row = 0; row < out.rows(); ++row, ++index) {
      if (index % 4 == 0) {
        const std::array<std::uint32_t, 4> words = block(static_cast<std::uint32_t>(index / 4));
        const std::array<double, 2> a = box_muller(words[0], words[1]);
        const std::array<double, 2> b = box_muller(words[2], words[3]);
        normal = {a[0], a[1], b[0], b[1]};
      }
      out(row, column) = static_cast<Scalar>(sigma * normal[index % 4]);
    }
}

}  // namespace lateral
