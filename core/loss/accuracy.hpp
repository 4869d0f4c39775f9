// Accuracy: how many samples of a batch are classified correctly.
#pragma once

#include <cstdint>

#include "core/types.hpp"

namespace lateral {

/// Number of samples n with argmax_k y_kn = argmax_k target_kn; the first of equal values counts as
/// the largest.
///   y (outputs × b) network output;  target (outputs × b), onehot for a label
std::uint32_t count_correct(ConstMatrixRef y, ConstMatrixRef target);

}  // namespace lateral
