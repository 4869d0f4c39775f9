// The order of samples: which are trained on, which are evaluated, and the order in an epoch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lateral {

/// Positions of samples in a part of a data set.
using Positions = std::vector<std::uint32_t>;

/// 0, 1, …, n - 1.
Positions first_positions(std::size_t n);

/// Draws `n_second` of `positions` at random, without changing the order in either list, moves them
/// to `second`, and leaves the others in `positions`.
///   draw: tells draws of one seed apart (0: validation samples, 1: the test set of one file)
/// REQUIRES: n_second ≤ positions.size()
void split_positions(Positions& positions, Positions& second, std::size_t n_second,
                     std::uint64_t seed, std::uint64_t draw);

/// `positions` in a random order that is a pure function of (seed, epoch).
///   buffer_samples: 0: every order is equally probable (Fisher–Yates). N > 0: an order that can be
///   read from a file by pieces: the positions are cut into pieces of window_samples(N) / 16
///   successive ones, the pieces are put into a random order, and the samples of each window of 16
///   successive pieces are put into a random order.
Positions shuffled(Positions positions, std::size_t buffer_samples, std::uint64_t seed,
                   std::uint64_t epoch);

/// Samples of a window: two windows fill the buffer, since a batch may extend over two.
constexpr std::size_t pieces_per_window = 16;
constexpr std::size_t window_samples(std::size_t buffer_samples) {
  const std::size_t piece = buffer_samples / (2 * pieces_per_window);
  return pieces_per_window * (piece > 0 ? piece : 1);
}

}  // namespace lateral
