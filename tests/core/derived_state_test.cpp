// States that were loaded in part: what follows from them is derived; learned means; frozen rules.
#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "tests/core/one_step.hpp"
#include "tests/core/support.hpp"

namespace lateral::test {
namespace {

DecorrelatorParams params_of(const char* rule, DecorrelationMode mode) {
  DecorrelatorParams params;
  params.rule = find_entry(decorrelation_table(), rule);
  params.rule_params.mode = mode;
  params.integrator = find_entry(integrator_table(), "chebyshev");
  params.demean = Demean::none;
  params.sample_fraction = 1;
  return params;
}

/// Loads some tensors, and derives the others.
void load_part(OneStepDecorrelator& decorrelator, const std::map<std::string, Matrix>& part) {
  MissingTensors missing;
  decorrelator.visit_state([&](const TensorView& view) {
    const auto found = part.find(view.name);
    if (found == part.end())
      missing.insert(view.name);
    else
      Eigen::Map<Matrix>(view.data, view.rows, view.cols) = found->second;
  });
  decorrelator.derive_missing(missing);
  decorrelator.state_loaded();
}

std::map<std::string, Matrix> by_name(const State& state) { return {state.begin(), state.end()}; }

}  // namespace

TEST_CASE("lipshutz2024 begins with M = I / s as far as its leak allows") {
  for (const double leak : {0.1, 0.5})
    for (const double scale : {0.5, 1.0, 2.0}) {
      DecorrelatorParams params = params_of("lipshutz2024", DecorrelationMode::settled);
      params.rule_params.initial_scale = static_cast<Scalar>(scale);
      params.rule_params.own = RuleParameters({{"leak", leak}, {"interneurons_per_unit", 2.0}});
      const OneStepDecorrelator decorrelator(params, 12);
      const Matrix expected =
          Matrix::Identity(12, 12) / static_cast<Scalar>(std::min(scale, 1 / leak));
      CHECK((decorrelator.state().M - expected).cwiseAbs().maxCoeff() < 1e-5);
    }
}

TEST_CASE("lipshutz2024 derives M from its directions and gains, and these from M") {
  const DecorrelatorParams params = params_of("lipshutz2024", DecorrelationMode::settled);
  OneStepDecorrelator trained(params, 8, 3), from_own(params, 8, 4), from_matrix(params, 8, 5);
  for (std::uint64_t step = 0; step < 30; ++step) {
    trained.forward_train(correlated(8, 16, 5, step));
    trained.learn();
  }
  std::map<std::string, Matrix> state = by_name(save(trained));
  const Matrix M = state.at("decorrelation/M");
  load_part(from_own,
            {{"decorrelation/directions", state.at("decorrelation/directions")},
             {"decorrelation/interneuron_gain", state.at("decorrelation/interneuron_gain")}});
  CHECK((from_own.state().M - M).norm() < 1e-5 * M.norm());
  load_part(from_matrix, {{"decorrelation/M", M}});
  const std::map<std::string, Matrix> derived = by_name(save(from_matrix));
  const Matrix& V = derived.at("decorrelation/directions");
  const Matrix assembled =
      V * derived.at("decorrelation/interneuron_gain").col(0).asDiagonal() * V.transpose() +
      Matrix::Identity(8, 8) * Scalar(0.5);
  CHECK((assembled - M).norm() < 1e-4 * M.norm());
}

TEST_CASE("an M that is loaded without its spectrum settles as fast as one that was there") {
  // Eigenvalues 0.05 … 10.
  const Matrix M = symmetric(40, 0.05, 10, 8);
  int steps[2];
  for (const bool searched : {false, true}) {
    DecorrelatorParams params = params_of("ahmad2024", DecorrelationMode::settled);
    params.settle.max_steps = 2000;
    OneStepDecorrelator decorrelator(params, 40);
    if (searched) {
      load_part(decorrelator, {{"decorrelation/M", M}});
    } else {
      State state = save(decorrelator);
      for (auto& [name, value] : state)
        if (name == "decorrelation/M") value = M;
      load(decorrelator, state);
    }
    decorrelator.forward_evaluate(normal(40, 5, 1));
    REQUIRE(decorrelator.evaluate_settled());
    steps[searched ? 1 : 0] = decorrelator.evaluate_settled()->steps;
    if (searched) CHECK(decorrelator.evaluate_settled()->converged);
  }
  CHECK(steps[1] < steps[0] / 2);
}

TEST_CASE("a learned mean takes the mean out of the outputs") {
  for (const DecorrelationMode mode :
       {DecorrelationMode::closed_form, DecorrelationMode::settled}) {
    DecorrelatorParams params = params_of("ahmad2024", mode);
    params.demean = Demean::learned;
    params.mean_rate = static_cast<Scalar>(0.05);
    params.rule_params.learning_rate = static_cast<Scalar>(1e-3);
    OneStepDecorrelator decorrelator(params, 6);
    const Vector shift = Vector::LinSpaced(6, -2, 3);
    const auto batch = [&](std::uint64_t step) {
      return Matrix(correlated(6, 64, 5, step).colwise() + shift);
    };
    Matrix x = decorrelator.forward_train(batch(0));
    // The first step uses the mean from before: zero.
    CHECK((decorrelator.centred() - batch(0)).cwiseAbs().maxCoeff() == 0);
    const Matrix expected = params.mean_rate * x.rowwise().mean();
    decorrelator.learn();
    CHECK((by_name(save(decorrelator)).at("decorrelation/mean") - expected).norm() < 1e-5);
    for (std::uint64_t step = 1; step < 1000; ++step) {
      x = decorrelator.forward_train(batch(step));
      decorrelator.learn();
    }
    CHECK(x.rowwise().mean().norm() < 0.2 * x.norm() / std::sqrt(64.0));
    Vector mean = Vector::Zero(6);
    constexpr int batches = 400;
    for (int step = 0; step < batches; ++step)
      mean += batch(static_cast<std::uint64_t>(step)).rowwise().mean() / Scalar(batches);
    CHECK((by_name(save(decorrelator)).at("decorrelation/mean") - mean).norm() < 0.2);
  }
}

TEST_CASE("without a rule, a learned mean is that of the input") {
  DecorrelatorParams params = params_of("none", DecorrelationMode::closed_form);
  params.demean = Demean::learned;
  OneStepDecorrelator decorrelator(params, 3);
  const Matrix z = Matrix::Constant(3, 4, 2);
  decorrelator.forward_train(z);
  decorrelator.learn();
  const Matrix mean = by_name(save(decorrelator)).at("decorrelation/mean");
  CHECK((mean.array() - 2 * params.mean_rate).abs().maxCoeff() < 1e-6);
}

TEST_CASE("a frozen rule keeps R and M, with rate 0 as well, and the running mean goes on") {
  for (const DecorrelationMode mode : {DecorrelationMode::closed_form, DecorrelationMode::settled})
    for (const bool is_frozen : {false, true}) {
      DecorrelatorParams params = params_of("ahmad2024", mode);
      params.demean = Demean::batch;
      params.rule_params.learning_rate = 0;
      params.is_frozen = is_frozen;
      OneStepDecorrelator decorrelator(params, 6);
      const Matrix before =
          mode == DecorrelationMode::settled ? decorrelator.state().M : decorrelator.state().R;
      decorrelator.forward_train(Matrix(correlated(6, 16, 5, 1).array() + 1));
      decorrelator.learn();
      const State state = save(decorrelator);
      const Matrix& after =
          mode == DecorrelationMode::settled ? decorrelator.state().M : decorrelator.state().R;
      CHECK(same_bits(before, after) == is_frozen);
      CHECK(by_name(state).at("decorrelation/mean").norm() > 0);
    }
}

}  // namespace lateral::test
