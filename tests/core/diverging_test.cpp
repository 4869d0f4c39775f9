// A layer whose step is not finite: caught, named, and undone where it is said to be.
#include "tests/core/one_step.hpp"
#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

namespace {

constexpr Index inputs = 5, units = 4, samples = 6;
const Scalar largest = std::numeric_limits<Scalar>::max();
/// Its square is infinite.
const Scalar too_large_to_square = 100 * std::sqrt(largest);
const Scalar not_a_number = std::numeric_limits<Scalar>::quiet_NaN();
const Scalar infinite = std::numeric_limits<Scalar>::infinity();

struct Setup {
  const char* optimizer = "sgd";
  const char* rule = "ahmad2024";
  const char* preconditioner = "none";
  DecorrelationMode mode = DecorrelationMode::closed_form;
  Demean demean = Demean::batch;
  double learning_rate = 0.05;
  double momentum = 0;
  double decorrelation_rate = 0.01;
};

LayerParams params_of(const Setup& setup, Diverging diverging, double change_max = 1) {
  LayerParams p;
  p.input = {inputs, 1, 1};
  p.units = p.classes = units;
  p.is_output = true;
  p.activation = find_entry(activation_table(), "relu");  // hides what is not a number
  p.credit = find_entry(credit_table(), "backpropagation");
  p.preconditioner = find_entry(preconditioner_table(), setup.preconditioner);
  p.optimizer = find_entry(optimizer_table(), setup.optimizer);
  p.optimizer_params.learning_rate = setup.learning_rate;
  p.optimizer_params.momentum = setup.momentum;
  p.diverging = diverging;
  p.change_max = change_max;
  p.decorrelator.rule = find_entry(decorrelation_table(), setup.rule);
  p.decorrelator.rule_params.learning_rate = s(setup.decorrelation_rate);
  p.decorrelator.rule_params.mode = setup.mode;
  p.decorrelator.demean = setup.demean;
  p.decorrelator.integrator = find_entry(integrator_table(), "chebyshev");
  p.decorrelator.settle.tolerance = s(is_double ? 1e-12 : 1e-5);
  p.decorrelator.batch = samples;
  return p;
}

OneStepLayer layer_of(const Setup& setup, Diverging diverging, double change_max = 1) {
  return OneStepLayer(params_of(setup, diverging, change_max));
}

Matrix input(std::uint64_t step) { return correlated(inputs, samples, 3, step); }
Matrix error(std::uint64_t step) { return normal(units, samples, 7, step); }

void train(OneStepLayer& layer, std::uint64_t step, const Matrix& z, const Matrix& e) {
  layer.forward(z, step);
  layer.receive(e);
  layer.learn();
}
void train(OneStepLayer& layer, std::uint64_t step) {
  train(layer, step, input(step), error(step));
}

/// Every tensor of this name becomes value · I, or value where it is a vector.
void set(OneStepLayer& layer, const std::string& name, Scalar value) {
  layer.visit_state([&](const TensorView& view) {
    Eigen::Map<Matrix> values(view.data, view.rows, view.cols);
    if (view.name != name) return;
    if (view.is_vector)
      values.setConstant(value);
    else
      values = value * Matrix::Identity(view.rows, view.cols);
  });
  layer.state_loaded();
}

bool finite(const State& state) {
  return std::all_of(state.begin(), state.end(),
                     [](const auto& tensor) { return tensor.second.allFinite(); });
}

struct Case {
  const char* quantity;  ///< what diverges
  Setup setup;
  Matrix z, e;                   ///< of the step that does
  const char* tensor = nullptr;  ///< set before it
  Scalar value = 0;
  bool shows_in_next_response = false;
};

std::vector<Case> cases() {
  const Matrix z = input(3), e = error(3);
  Matrix with_nan = e, with_infinity = e;
  with_nan(2, 4) = not_a_number;
  with_infinity(2, 4) = infinite;
  Setup adam, momentum, fast, kfac, foldiak;
  adam.optimizer = "adam";
  momentum.momentum = 0.9;
  fast.learning_rate = 1e6;
  fast.demean = Demean::none;
  fast.rule = "none";
  kfac.preconditioner = "kfac";
  kfac.rule = "none";
  kfac.demean = Demean::none;
  foldiak.rule = "foldiak1990";
  foldiak.mode = DecorrelationMode::settled;
  const Scalar fast_overflow = largest / 1000;
  return {
      {"gradient of W", {}, z, with_nan},
      {"gradient of W", {}, z, with_infinity},
      {"gradient of W", adam, z, with_nan},
      {"gradient of W", adam, z, with_infinity},
      {"gradient of W", momentum, z, with_infinity},
      {"gradient of W", kfac, z, with_nan},
      // Finite factors whose product is not.
      {"gradient of W",
       {},
       z,
       s(0.1) * too_large_to_square * e,
       "decorrelation/R",
       too_large_to_square},
      {"optimizer/weight_v", adam, z, too_large_to_square * e},
      {"weight", fast, z, fast_overflow * e.cwiseMin(1).cwiseMax(-1) / 10},
      {"bias", fast, Matrix::Zero(inputs, samples),
       Matrix::Constant(units, samples, fast_overflow)},
      {"optimizer/bias_v", adam, Matrix::Zero(inputs, samples),
       Matrix::Constant(units, samples, too_large_to_square)},
      {"preconditioner/input_covariance", kfac, too_large_to_square * z, e / too_large_to_square},
      {"decorrelation/R",
       {},
       z,
       s(1e-3) / too_large_to_square * e,
       "decorrelation/R",
       too_large_to_square,
       true},
      {"decorrelation/M", foldiak, z, s(1e-3) / too_large_to_square * e, "decorrelation/M",
       1 / too_large_to_square, true},
  };
}

}  // namespace

TEST_CASE(
    "stop: what a step makes not finite is named with the step, though the activation hides it") {
  for (const Case& c : cases()) {
    CAPTURE(c.quantity);
    CAPTURE(c.setup.optimizer);
    OneStepLayer layer = layer_of(c.setup, Diverging::stop);
    train(layer, 1);
    train(layer, 2);
    CHECK(!layer.diverged());
    if (c.tensor != nullptr) set(layer, c.tensor, c.value);
    train(layer, 3, c.z, c.e);
    if (c.shows_in_next_response) {
      CHECK(!layer.diverged());
      layer.forward(input(4), 4);
    }
    REQUIRE(layer.diverged());
    CHECK(layer.diverged()->quantity == c.quantity);
    CHECK(layer.diverged()->step == 3);
    CHECK(!std::isfinite(layer.diverged()->value));
  }
}

TEST_CASE("skip, and shorten too: the state stays as it was, bit for bit, and the layer goes on") {
  for (const Diverging diverging : {Diverging::skip, Diverging::shorten})
    for (const Case& c : cases()) {
      CAPTURE(c.quantity);
      CAPTURE(c.setup.optimizer);
      CAPTURE((diverging == Diverging::skip));
      OneStepLayer layer = layer_of(c.setup, diverging, 1e6);
      train(layer, 1);
      train(layer, 2);
      CHECK(!layer.report().skipped);
      const State usual = save(layer);
      if (c.tensor != nullptr) set(layer, c.tensor, c.value);
      const State before = save(layer);
      train(layer, 3, c.z, c.e);
      CHECK(layer.report().skipped);
      CHECK(!layer.report().shortened);
      CHECK(!layer.diverged());
      CHECK(same_bits(save(layer), before));
      // As if the step had never been.
      OneStepLayer other = layer_of(c.setup, diverging, 1e6);
      load(other, before);
      CHECK(same_bits(layer.forward(input(4), 4), other.forward(input(4), 4)));
      load(layer, usual);
      load(other, usual);
      for (std::uint64_t step = 4; step < 7; ++step) train(layer, step), train(other, step);
      CHECK(!layer.report().skipped);
      CHECK(finite(save(layer)));
      CHECK(same_bits(save(layer), save(other)));
      CHECK(!same_bits(save(layer), usual));
    }
}

TEST_CASE("where nothing diverges all policies learn in the same bits") {
  for (const char* rule : {"none", "ahmad2024", "prong", "lipshutz2024"})
    for (const char* optimizer : {"sgd", "adam"})
      for (const Index batch : {Index{1}, samples}) {
        CAPTURE(rule);
        CAPTURE(optimizer);
        CAPTURE(batch);
        Setup setup;
        setup.rule = rule;
        setup.optimizer = optimizer;
        setup.demean = Demean::running;
        if (rule == std::string("lipshutz2024")) setup.mode = DecorrelationMode::settled;
        State reference;
        for (const Diverging diverging : {Diverging::stop, Diverging::skip, Diverging::shorten}) {
          OneStepLayer layer = layer_of(setup, diverging, 1e6);
          for (std::uint64_t step = 1; step < 8; ++step) {
            train(layer, step, input(step).leftCols(batch), error(step).leftCols(batch));
            CHECK(!layer.report().skipped);
            CHECK(!layer.report().shortened);
          }
          if (reference.empty()) reference = save(layer);
          CHECK(same_bits(save(layer), reference));
        }
      }
}

TEST_CASE(
    "shorten: a change too large is halved as often as it takes, W's with b's, R's by itself") {
  Setup fast;
  fast.learning_rate = 20;
  fast.decorrelation_rate = 50;
  for (const DecorrelationMode mode :
       {DecorrelationMode::closed_form, DecorrelationMode::settled}) {
    fast.mode = mode;
    const char* matrix = mode == DecorrelationMode::settled ? "decorrelation/M" : "decorrelation/R";
    if (mode == DecorrelationMode::settled) fast.rule = "foldiak1990";
    constexpr double change_max = 0.25;
    OneStepLayer whole = layer_of(fast, Diverging::stop),
                 layer = layer_of(fast, Diverging::shorten, change_max);
    const State before = save(layer);
    train(whole, 1);
    train(layer, 1);
    CHECK(layer.report().shortened);
    CHECK(!layer.report().skipped);
    const State one = save(whole), shortened = save(layer);
    const auto factor_of = [&](const char* name) {
      const Matrix change = tensor(one, name) - tensor(before, name);
      const double ratio = double(change.norm()) / double(tensor(before, name).norm());
      CAPTURE(name);
      REQUIRE(ratio > change_max);
      double factor = 1;
      while (factor * ratio > change_max) factor /= 2;
      return factor;
    };
    const auto check_shortened = [&](const char* name, double factor) {
      CAPTURE(name);
      const Matrix change = tensor(one, name) - tensor(before, name);
      const Matrix expected = tensor(before, name) + s(factor) * change;
      CHECK(max_abs(tensor(shortened, name) - expected) <=
            100 * epsilon * max_abs(tensor(one, name)));
    };
    check_shortened("weight", factor_of("weight"));
    check_shortened("bias", factor_of("weight"));
    check_shortened(matrix, factor_of(matrix));
    CHECK(same_bits(tensor(shortened, "decorrelation/mean"), tensor(one, "decorrelation/mean")));
  }
}

TEST_CASE("shorten: what ten halvings do not bring down is skipped") {
  for (const bool of_weight : {true, false}) {
    CAPTURE(of_weight);
    Setup fast;
    fast.learning_rate = 20;  // so that W is shortened before R is given up
    (of_weight ? fast.learning_rate : fast.decorrelation_rate) = 1e9;
    OneStepLayer layer = layer_of(fast, Diverging::shorten, 0.25);
    const State before = save(layer);
    train(layer, 1);
    CHECK(layer.report().skipped);
    CHECK(!layer.report().shortened);
    CHECK(same_bits(save(layer), before));
  }
}

TEST_CASE("shorten: weights of nothing but zeros may become anything") {
  Setup setup;
  OneStepLayer layer = layer_of(setup, Diverging::shorten);
  set(layer, "weight", 0);
  set(layer, "bias", 1);  // relu lets the error through
  train(layer, 1);
  CHECK(!layer.report().skipped);
  CHECK(max_abs(tensor(save(layer), "weight")) > 0);
}

TEST_CASE("with steps in flight decorrelation is a step of its own") {
  const std::unique_ptr<Layer> layer = dense_kind().make(params_of(Setup{}, Diverging::skip), 1, 1);
  const std::unique_ptr<LayerStep> first = layer->make_step(), second = layer->make_step();
  Matrix y(units, samples);
  const auto forward = [&](LayerStep& step, std::uint64_t number) {
    layer->begin(step, number, samples);
    layer->forward(step, 0, input(number), Matrix(), y);
    layer->learn_decorrelation(step);
  };
  const State before = save(*layer);
  forward(*first, 1);
  const State decorrelated = save(*layer);
  CHECK(!same_bits(decorrelated, before));
  forward(*second, 2);
  const State twice = save(*layer);
  layer->receive(*first, 0, Signal::error, Matrix::Constant(units, samples, not_a_number));
  layer->learn(*first, false);
  CHECK(first->report.skipped);
  CHECK(!second->report.skipped);
  CHECK(same_bits(save(*layer), twice));
}

TEST_CASE("a response that is not finite is named in evaluation, too, and whatever the policy") {
  for (const Diverging diverging : {Diverging::stop, Diverging::skip}) {
    OneStepLayer layer = layer_of({}, diverging);
    train(layer, 1);
    set(layer, "decorrelation/R", too_large_to_square);
    layer.evaluate(too_large_to_square * input(2));
    REQUIRE(layer.diverged());
    CHECK(layer.diverged()->quantity == "activity in evaluation");
    OneStepLayer training = layer_of({}, diverging);
    train(training, 1);
    set(training, "decorrelation/R", too_large_to_square);
    training.forward(too_large_to_square * input(2), 2);
    REQUIRE(training.diverged());
    CHECK(training.diverged()->quantity == "activity");
    CHECK(training.diverged()->step == 2);
  }
}
