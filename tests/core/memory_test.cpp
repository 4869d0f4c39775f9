// The memory model of a layer: its terms, and sizes beyond 32 bits.
#include "core/layer/memory.hpp"

#include <doctest/doctest.h>

namespace lateral {
namespace {

TEST_CASE("the memory of a layer is its state, its gradient and its steps in flight") {
  const LayerSizes sizes{
      .inputs = 3, .outputs = 5, .batch = 7, .steps_in_flight = 2, .state_values = 100,
      .weight_values = 20};
  CHECK(layer_memory_values(sizes) == 100 + 20 + (5 + 3 * 2) * 7 * (3 + 5));

  LayerSizes copied = sizes;
  copied.copies_state = true;
  CHECK(layer_memory_values(copied) == layer_memory_values(sizes) + 100);
}

TEST_CASE("the memory of a layer larger than any machine does not overflow") {
  constexpr Index wide = 1 << 20;
  const LayerSizes sizes{.inputs = wide,
                         .outputs = wide,
                         .batch = wide,
                         .steps_in_flight = 1,
                         .weight_values = std::uint64_t{1} << 40};
  CHECK(layer_memory_values(sizes) == (std::uint64_t{1} << 40) + (std::uint64_t{1} << 44));
}

}  // namespace
}  // namespace lateral
