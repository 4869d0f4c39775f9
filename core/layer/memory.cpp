// The memory model of a layer.
#include "core/layer/memory.hpp"

namespace lateral {

std::uint64_t layer_memory_values(const LayerSizes& sizes) {
  const auto width = static_cast<std::uint64_t>(sizes.inputs + sizes.outputs);
  constexpr std::uint64_t matrices_shared = 5, matrices_per_step = 3;
  const std::uint64_t matrices =
      matrices_shared + matrices_per_step * static_cast<std::uint64_t>(sizes.steps_in_flight);
  return sizes.state_values * (sizes.copies_state ? 2 : 1) + sizes.weight_values +
         matrices * static_cast<std::uint64_t>(sizes.batch) * width;
}

}  // namespace lateral
