// The memory model of a layer.
#include "core/layer/memory.hpp"

namespace lateral {

std::uint64_t layer_memory_values(const LayerSizes& sizes) {
  const auto width = static_cast<std::uint64_t>(sizes.inputs + sizes.outputs);
  const auto samples = static_cast<std::uint64_t>(sizes.batch * sizes.steps_in_flight);
  constexpr std::uint64_t matrices_per_step = 8;
  return sizes.state_values * (sizes.copies_state ? 2 : 1) + sizes.weight_values +
         matrices_per_step * samples * width;
}

}  // namespace lateral
