// Orders of samples: random windows, and draws of a part.
#include "nodes/data/sample_order.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace lateral;

TEST_CASE("a windowed order has every position once and is a function of seed and epoch") {
  for (const std::size_t n : {1U, 31U, 1000U}) {
    const Positions order = shuffled(first_positions(n), 128, 3, 1);
    CHECK(std::set<std::uint32_t>(order.begin(), order.end()).size() == n);
    CHECK(order == shuffled(first_positions(n), 128, 3, 1));
  }
  const Positions all = first_positions(1000);
  CHECK(shuffled(all, 128, 3, 1) != shuffled(all, 128, 3, 2));
  CHECK(shuffled(all, 128, 3, 1) != shuffled(all, 128, 4, 1));
  CHECK(shuffled(all, 128, 3, 1) != shuffled(all, 0, 3, 1));
}

TEST_CASE("a window of an order is made of 16 pieces of successive positions") {
  constexpr std::size_t buffer = 128;  // pieces of 4, windows of 64
  CHECK(window_samples(buffer) == 64);
  const Positions order = shuffled(first_positions(640), buffer, 1, 1);
  for (std::size_t begin = 0; begin < order.size(); begin += 64) {
    std::set<std::uint32_t> pieces;
    for (std::size_t i = begin; i < begin + 64; ++i) pieces.insert(order[i] / 4);
    CHECK(pieces.size() == 16);
    // The samples of a piece do not stay together.
    std::size_t neighbours = 0;
    for (std::size_t i = begin + 1; i < begin + 64; ++i)
      neighbours += order[i] / 4 == order[i - 1] / 4;
    CHECK(neighbours < 16);
  }
}

TEST_CASE("a draw leaves both parts in their order, and draws differ") {
  const auto draw = [](std::uint64_t seed, std::uint64_t number) {
    Positions first = first_positions(100), second;
    split_positions(first, second, 20, seed, number);
    CHECK(first.size() == 80);
    CHECK(second.size() == 20);
    CHECK(std::is_sorted(first.begin(), first.end()));
    CHECK(std::is_sorted(second.begin(), second.end()));
    std::set<std::uint32_t> all(first.begin(), first.end());
    all.insert(second.begin(), second.end());
    CHECK(all.size() == 100);
    return second;
  };
  CHECK(draw(1, 0) == draw(1, 0));
  CHECK(draw(1, 0) != draw(1, 1));
  CHECK(draw(1, 0) != draw(2, 0));
}
