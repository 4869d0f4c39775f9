// Counter-based random numbers: a pure function of (seed, node, step, purpose, index).
#pragma once

#include <array>
#include <cstdint>

#include "core/types.hpp"

namespace lateral {

/// Philox4x32-10: 128 random bits from a 128-bit counter and a 64-bit key.
/// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

/// What a stream of random numbers is for. The numbers are part of every result: append only.
enum class Purpose : std::uint32_t {
  initial_weight = 0,
  initial_bias = 1,
  initial_feedback = 2,
  node_noise = 3,
  shuffle = 4,
  augmentation = 5,
  generated_data = 6,
  spectrum = 7,
  validation_split = 8,
  initial_decorrelation = 9,
  weight_noise = 10,
  bias_noise = 11,
  sweep = 12,
  fisher_sample = 13,
  teacher = 14,
};

/// The random numbers of one node, step and purpose; any element may be drawn in any order.
///   counter = (block index, step low 32 bits, step high bits << 8 | purpose, node)   key = seed
/// A block of four words gives two 64-bit elements (uniform, below, fill_uniform) or four normal
/// ones; element i of a filled matrix is a pure function of i, its place in storage order.
/// REQUIRES: step < 2^56, element indices < 2^33
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::uint32_t node, std::uint64_t step, Purpose purpose);

  /// Four words of block `index`.
  std::array<std::uint32_t, 4> block(std::uint32_t index) const;
  /// Uniform in [0, 1) with 53 bits, element `index`.
  double uniform(std::uint64_t index) const;
  /// Uniform integer in [0, n); the bias of a value is below n / 2^64.  REQUIRES: n > 0
  std::uint64_t below(std::uint64_t index, std::uint64_t n) const;

  /// Fills with U(−bound, bound), in storage order.
  void fill_uniform(MatrixRef out, double bound) const;
  /// Fills with N(0, sigma²) by Box–Muller, in storage order, from element `first` of the stream:
  /// two 32-bit uniforms a pair, neither of them 0, so values reach 6.8 sigma and are never
  /// infinite.
  void fill_normal(MatrixRef out, double sigma, std::uint64_t first = 0) const;

 private:
  /// 64 random bits, element `index`: half a block.
  std::uint64_t word64(std::uint64_t index) const;

  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 2> key_;
};

}  // namespace lateral
