// The random matrix of the linear teacher.
#include "core/loss/teacher.hpp"

#include <cmath>

namespace lateral {

Matrix linear_teacher(Index outputs, Index inputs, const RandomStream& random) {
  Matrix teacher(outputs, inputs);
  random.fill_normal(teacher, 1 / std::sqrt(static_cast<double>(inputs)));
  return teacher;
}

}  // namespace lateral
