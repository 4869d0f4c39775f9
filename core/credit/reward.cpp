// Division of rewards by the squared change of all units.
#include "core/credit/reward.hpp"

#include "core/check.hpp"

namespace lateral {

void weigh_rewards(double units, ConstMatrixRef squared_change, std::span<double> differences) {
  LATERAL_CHECK(squared_change.rows() == 1);
  LATERAL_CHECK(differences.size() == static_cast<std::size_t>(squared_change.cols()));
  for (Index n = 0; n < squared_change.cols(); ++n) {
    const auto change = static_cast<double>(squared_change(0, n));
    double& difference = differences[static_cast<std::size_t>(n)];
    difference = change > 0 ? units * difference / change : 0;
  }
}

}  // namespace lateral
