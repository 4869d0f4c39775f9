// Comparison of the largest output with the largest target.
#include "core/loss/accuracy.hpp"

#include "core/check.hpp"

namespace lateral {

std::uint32_t count_correct(ConstMatrixRef y, ConstMatrixRef target) {
  LATERAL_CHECK(y.rows() == target.rows());
  LATERAL_CHECK(y.cols() == target.cols());
  std::uint32_t correct = 0;
  for (Index n = 0; n < y.cols(); ++n) {
    Index best = 0, label = 0;
    y.col(n).maxCoeff(&best);
    target.col(n).maxCoeff(&label);
    if (best == label) ++correct;
  }
  return correct;
}

}  // namespace lateral
