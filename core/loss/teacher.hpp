// The linear teacher: a random matrix whose outputs are the targets of a regression task.
#pragma once

#include "core/random.hpp"
#include "core/types.hpp"

namespace lateral {

/// T (outputs × inputs) with T_ij ~ N(0, 1 / inputs): the target of an input z is T z. The variance
/// keeps targets of the size of the inputs, whatever their number.
Matrix linear_teacher(Index outputs, Index inputs, const RandomStream& random);

}  // namespace lateral
