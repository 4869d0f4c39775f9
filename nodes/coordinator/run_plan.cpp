// The size of a network's checkpoints.
#include "nodes/coordinator/run_plan.hpp"

namespace lateral {

CheckpointLimits checkpoint_limits(const Experiment& experiment) {
  // A layer has at most about twenty tensors.
  constexpr std::size_t tensors_max = 32;
  const std::size_t largest = experiment.tensor_bytes_max();
  return {largest, tensors_max * experiment.layers.size() * largest};
}

}  // namespace lateral
