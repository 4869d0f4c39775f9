// How much memory a layer takes, estimated from its sizes before it is made.
#pragma once

#include <cstdint>

#include "core/types.hpp"

namespace lateral {

struct LayerSizes {
  Index inputs = 0;                 ///< values of a sample that it takes
  Index outputs = 0;                ///< and gives
  Index batch = 0;                  ///< samples of a batch
  Index steps_in_flight = 1;        ///< batches that it takes in before it learns from the first
  std::uint64_t state_values = 0;   ///< of all tensors that it keeps
  std::uint64_t weight_values = 0;  ///< of its weights, and of their gradient
  bool copies_state = false;        ///< to restore it after a step that diverges
};

/// About so many values (of sizeof(Scalar) bytes) are held at a time: the state, its copy, the
/// gradient of the weights, and five matrices as large as the input and the output of a batch, with
/// three more for each step in flight (measured: tests/system/memory_test.sh):
///   state_values · (copies_state ? 2 : 1) + weight_values
///     + (5 + 3 · steps_in_flight) · batch · (inputs + outputs)
std::uint64_t layer_memory_values(const LayerSizes& sizes);

}  // namespace lateral
