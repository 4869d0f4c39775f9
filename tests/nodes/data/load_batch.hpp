// load_train(), load_evaluate(): a batch in a matrix that is resized to it.
#pragma once

#include <vector>

#include "nodes/data/batches.hpp"

namespace lateral {

inline void load_train(const Batches& batches, std::uint64_t epoch, int index, Matrix& values,
                       std::vector<std::uint32_t>& labels) {
  values.resize(batches.inputs(), batches.train_samples(index));
  batches.train(epoch, index, values, labels);
}

inline void load_evaluate(const Batches& batches, int index, Matrix& values,
                          std::vector<std::uint32_t>& labels) {
  values.resize(batches.inputs(), batches.evaluate_samples(index));
  batches.evaluate(index, values, labels);
}

}  // namespace lateral
