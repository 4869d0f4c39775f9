// Random orders and random parts of a data set.
#include "nodes/data/sample_order.hpp"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "core/check.hpp"
#include "core/random.hpp"

namespace lateral {
namespace {

constexpr std::uint32_t source_node = 0;  // key of the source's random streams

/// Fisher–Yates, from the end down.
///   first: element of the stream for the exchange of position 0
template <class T>
void shuffle(std::span<T> values, const RandomStream& random, std::uint64_t first = 0) {
  for (std::size_t i = values.size(); i-- > 1;)
    std::swap(values[i], values[random.below(first + i, i + 1)]);
}

}  // namespace

Positions first_positions(std::size_t n) {
  Positions positions(n);
  std::iota(positions.begin(), positions.end(), 0U);
  return positions;
}

void split_positions(Positions& positions, Positions& second, std::size_t n_second,
                     std::uint64_t seed, std::uint64_t draw) {
  LATERAL_CHECK(n_second <= positions.size());
  shuffle(std::span(positions), RandomStream(seed, source_node, draw, Purpose::validation_split));
  second.assign(positions.end() - static_cast<std::ptrdiff_t>(n_second), positions.end());
  positions.resize(positions.size() - n_second);
  std::sort(second.begin(), second.end());
  std::sort(positions.begin(), positions.end());
}

Positions shuffled(Positions positions, std::size_t buffer_samples, std::uint64_t seed,
                   std::uint64_t epoch) {
  const RandomStream random(seed, source_node, epoch, Purpose::shuffle);
  if (buffer_samples == 0) {
    shuffle(std::span(positions), random);
    return positions;
  }
  const std::size_t window = window_samples(buffer_samples);
  const std::size_t piece = window / pieces_per_window;
  Positions pieces = first_positions((positions.size() + piece - 1) / piece);
  // Exchanges of pieces use the elements after those of the samples.
  shuffle(std::span(pieces), random, positions.size());
  Positions order;
  order.reserve(positions.size());
  for (const std::uint32_t p : pieces) {
    const std::size_t begin = p * piece;
    const std::size_t end = std::min(begin + piece, positions.size());
    order.insert(order.end(), positions.begin() + static_cast<std::ptrdiff_t>(begin),
                 positions.begin() + static_cast<std::ptrdiff_t>(end));
  }
  for (std::size_t begin = 0; begin < order.size(); begin += window)
    shuffle(std::span(order).subspan(begin, std::min(window, order.size() - begin)), random, begin);
  return order;
}

}  // namespace lateral
