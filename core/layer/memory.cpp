// The memory model of a layer.
#include "core/layer/memory.hpp"

namespace lateral {

std::uint64_t layer_memory_values(const LayerSizes& sizes) {
  const auto inputs = static_cast<std::uint64_t>(sizes.inputs);
  const auto units = static_cast<std::uint64_t>(sizes.units);
  const auto samples = static_cast<std::uint64_t>(sizes.batch * sizes.steps_in_flight);
  constexpr std::uint64_t matrices_per_step = 8;
  return sizes.state_values * (sizes.copies_state ? 2 : 1) + inputs * units +
         matrices_per_step * samples * (inputs + units);
}

}  // namespace lateral
