// The size of a network's checkpoints.
#include "nodes/coordinator/run_plan.hpp"

namespace lateral {

CheckpointLimits checkpoint_limits(const Experiment& experiment) {
  // Tensors that this network lacks are refused by their names, so some of them may be read.
  constexpr std::size_t times_own_size = 4;
  std::uint64_t values = 0;
  for (const LayerSpec& layer : experiment.layers)
    for (const TensorSpec& tensor : experiment.tensors(layer)) values += values_of(tensor);
  return {experiment.tensor_bytes_max(), times_own_size * values * sizeof(Scalar)};
}

}  // namespace lateral
