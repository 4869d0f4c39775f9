// Rewards of activity perturbation.
#include "core/credit/reward.hpp"

#include "core/credit/credit.hpp"
#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

TEST_CASE("a weighed reward is units times the difference over the squared change") {
  Matrix squared_change(1, 4);
  squared_change << s(0.5), 0, 8, s(0.25);
  std::vector<double> differences = {2, 3, -4, 0};
  weigh_rewards(6, squared_change, differences);
  CHECK(differences == std::vector<double>{24, 0, -3, 0});  // nothing changed: nothing to reward
}

TEST_CASE("weighed rewards make activity perturbation exact in the direction of the change") {
  // One layer, a loss linear in its pre-activation: L = g . a. Then delta . da = N (g . da).
  constexpr Index units = 7, samples = 5;
  const Matrix change = normal(units, samples, 1);
  const Matrix gradient = normal(units, samples, 2);
  std::vector<double> rewards;
  for (Index n = 0; n < samples; ++n)
    rewards.push_back(static_cast<double>(gradient.col(n).dot(change.col(n))));
  weigh_rewards(static_cast<double>(units), change.colwise().squaredNorm(), rewards);
  const Matrix reward =
      Eigen::Map<const Eigen::RowVectorXd>(rewards.data(), samples).cast<Scalar>();
  const Matrix slope = Matrix::Ones(units, samples), no_feedback;
  Matrix delta(units, samples);
  find_entry(credit_table(), "activity_perturbation")({})->assign(
      {reward, slope, change, no_feedback, true, 0.1}, delta);
  for (Index n = 0; n < samples; ++n)
    CHECK(static_cast<double>(delta.col(n).dot(change.col(n))) ==
          doctest::Approx(static_cast<double>(units * gradient.col(n).dot(change.col(n))))
              .epsilon(100 * epsilon));
}
