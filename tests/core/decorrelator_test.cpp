// A layer's decorrelation: demeaning, both modes, what evaluation leaves alone.
#include "core/decorrelation/decorrelator.hpp"

#include "tests/core/one_step.hpp"
#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

namespace {

DecorrelatorParams params_for(const char* rule, DecorrelationMode mode, Demean demean) {
  DecorrelatorParams params;
  params.rule = find_entry(decorrelation_table(), rule);
  params.rule_params.learning_rate = s(0.01);
  params.rule_params.mode = mode;
  params.demean = demean;
  params.integrator = find_entry(integrator_table(), "euler");
  params.settle.tolerance = s(is_double ? 1e-11 : 3e-6);
  return params;
}

OneStepDecorrelator make(const DecorrelatorParams& params, Index inputs) {
  return OneStepDecorrelator(params, inputs);
}

void train(OneStepDecorrelator& decorrelator, Index n, Index b, int steps,
           std::uint64_t first = 0) {
  Matrix x, back;
  for (int t = 0; t < steps; ++t) {
    x = decorrelator.forward_train(correlated(n, b, 5, first + static_cast<std::uint64_t>(t)));
    back = decorrelator.backward(normal(n, b, 6, first + static_cast<std::uint64_t>(t)));
    decorrelator.learn();
  }
}

double close(const Matrix& a, const Matrix& b) { return max_abs(a - b); }

}  // namespace

TEST_CASE("demeaning by the batch, by the running mean and not at all") {
  const Index n = 5, b = 8;
  for (const char* rule : {"none", "ahmad2024"})
    for (const DecorrelationMode mode :
         {DecorrelationMode::closed_form, DecorrelationMode::settled})
      for (const Demean demean : {Demean::batch, Demean::running, Demean::none}) {
        CAPTURE(rule);
        OneStepDecorrelator decorrelator = make(params_for(rule, mode, demean), n);
        Vector running = Vector::Zero(n);
        Matrix x;
        for (std::uint64_t t = 0; t < 4; ++t) {
          const Matrix z = correlated(n, b, 3, t);
          const Vector mean = z.rowwise().mean();
          x = decorrelator.forward_train(z);
          Matrix expected = z;
          if (demean == Demean::batch) expected.colwise() -= mean;
          if (demean == Demean::running) expected.colwise() -= running;
          CHECK(close(decorrelator.centred(), expected) <= 16 * epsilon);
          if (t == 0 || rule == std::string("none"))
            CHECK(close(x, expected) <= 64 * epsilon + 8 * (is_double ? 1e-11 : 3e-6));
          // Evaluation between forward and learn still sees the mean from before the step.
          Matrix evaluated;
          evaluated = decorrelator.forward_evaluate(z);
          if (rule == std::string("none")) {
            expected = z;
            if (demean != Demean::none) expected.colwise() -= running;
            CHECK(close(evaluated, expected) <= 16 * epsilon);
          }
          decorrelator.learn();
          if (demean != Demean::none) running = s(0.9) * running + s(0.1) * mean;
          const State state = save(decorrelator);
          if (demean != Demean::none || rule == std::string("ahmad2024"))
            CHECK(close(tensor(state, "decorrelation/mean"), running) <= 16 * epsilon);
          else
            CHECK(state.empty());
        }
      }
}

TEST_CASE(
    "x is R (z - mean) and the error at z is R'G less its mean if the batch's was taken off") {
  const Index n = 6, b = 9;
  for (const Demean demean : {Demean::batch, Demean::running, Demean::none})
    for (const DecorrelationMode mode :
         {DecorrelationMode::closed_form, DecorrelationMode::settled}) {
      OneStepDecorrelator decorrelator = make(params_for("ahmad2024", mode, demean), n);
      train(decorrelator, n, b, 30);
      const State state = save(decorrelator);
      const Matrix R =
          mode == DecorrelationMode::closed_form
              ? tensor(state, "decorrelation/R")
              : settle_reference({tensor(state, "decorrelation/M"), false}, Matrix::Identity(n, n));
      REQUIRE(close(R, Matrix::Identity(n, n)) > 0.05);
      const double tolerance = 1000 * (is_double ? 1e-11 : 3e-6);
      Matrix x, back, probe, dx;
      x = decorrelator.forward_train(correlated(n, b, 8));
      CHECK(close(x, R * decorrelator.centred()) <= tolerance);
      const Matrix d = normal(n, b, 9), G = normal(n, b, 10);
      dx = decorrelator.forward_difference(d);
      CHECK(close(dx, R * d) <= tolerance);
      Matrix expected = R.transpose() * G;
      if (demean == Demean::batch) expected.colwise() -= Vector(expected.rowwise().mean());
      back = decorrelator.backward(G);
      CHECK(close(back, expected) <= tolerance);
      probe = decorrelator.backward_probe(G);
      CHECK(close(probe, expected) <= tolerance);
      CHECK(decorrelator.forward_settled().has_value() == (mode == DecorrelationMode::settled));
      CHECK(decorrelator.backward_settled().has_value() == (mode == DecorrelationMode::settled));
    }
}

TEST_CASE(
    "with rule none the error at z still loses its batch mean where demeaning is by the batch") {
  OneStepDecorrelator decorrelator =
      make(params_for("none", DecorrelationMode::closed_form, Demean::batch), 4);
  Matrix x, back;
  x = decorrelator.forward_train(normal(4, 6, 1));
  const Matrix G = normal(4, 6, 2).array() + 1;
  back = decorrelator.backward(G);
  CHECK(close(back, G.colwise() - Vector(G.rowwise().mean())) <= 8 * epsilon);
}

TEST_CASE("settled and closed form learn the same") {
  const Index n = 7;
  for (const MatrixUpdate update : {MatrixUpdate::exact, MatrixUpdate::implicit})
    for (const Gain gain : {Gain::norm_ratio, Gain::per_unit, Gain::none})
      for (const Index b : {5, 40}) {
        DecorrelatorParams params =
            params_for("ahmad2024", DecorrelationMode::closed_form, Demean::batch);
        params.rule_params.update = update;
        params.rule_params.gain = gain;
        // A gain a unit from one sample is a ratio of two numbers, and may be anything.
        if (gain == Gain::per_unit) params.sample_fraction = 1;
        CAPTURE(static_cast<int>(update));
        CAPTURE(static_cast<int>(gain));
        CAPTURE(b);
        OneStepDecorrelator closed = make(params, n);
        params.rule_params.mode = DecorrelationMode::settled;
        OneStepDecorrelator settled = make(params, n);
        train(closed, n, b, 60);
        train(settled, n, b, 60);
        const Matrix product =
            tensor(save(settled), "decorrelation/M") * tensor(save(closed), "decorrelation/R");
        CHECK(close(product, Matrix::Identity(n, n)) <= (is_double ? 1e-8 : 2e-3));
        CHECK(settled.forward_settled()->converged);
        Matrix x, y;
        const Matrix z = correlated(n, b, 99);
        x = closed.forward_evaluate(z);
        y = settled.forward_evaluate(z);
        CHECK(close(x, y) <= (is_double ? 1e-8 : 1e-2));
        CHECK(settled.evaluate_settled()->converged);
      }
}

TEST_CASE("the samples learned from are the first tenth and one more") {
  for (const Index b : {1, 9, 10, 30, 256}) {
    CAPTURE(b);
    const Index samples = std::min(b, Index(std::floor(0.1 * double(b))) + 1);
    OneStepDecorrelator all =
        make(params_for("ahmad2024", DecorrelationMode::closed_form, Demean::none), 3);
    OneStepDecorrelator few =
        make(params_for("ahmad2024", DecorrelationMode::closed_form, Demean::none), 3);
    Matrix z = correlated(3, b, 1), x;
    x = all.forward_train(z);
    all.learn();
    z.rightCols(b - samples).setConstant(9);  // not seen
    x = few.forward_train(z);
    few.learn();
    CHECK(close(tensor(save(all), "decorrelation/R"), tensor(save(few), "decorrelation/R")) <=
          4 * epsilon);
    z.col(samples - 1).setConstant(9);  // seen
    OneStepDecorrelator other =
        make(params_for("ahmad2024", DecorrelationMode::closed_form, Demean::none), 3);
    x = other.forward_train(z);
    other.learn();
    CHECK(close(tensor(save(all), "decorrelation/R"), tensor(save(other), "decorrelation/R")) >
          1e-4);
  }
}

TEST_CASE("a unit that never varies grows by the gain a step, or stays when frozen") {
  for (const DecorrelationMode mode : {DecorrelationMode::closed_form, DecorrelationMode::settled})
    for (const NullDirections null : {NullDirections::grow, NullDirections::freeze})
      for (const Demean demean : {Demean::none, Demean::batch}) {
        DecorrelatorParams params = params_for("ahmad2024", mode, demean);
        params.null_directions = null;
        OneStepDecorrelator decorrelator = make(params, 4);
        double grown = 1;
        Matrix x;
        for (std::uint64_t t = 0; t < 50; ++t) {
          Matrix z = correlated(4, 12, 5, t);
          z.row(2).setConstant(demean == Demean::none ? 0 : 1);
          x = decorrelator.forward_train(z);
          grown *= decorrelator.learn().gain;
        }
        CHECK(std::abs(grown - 1) > 1e-3);
        const State state = save(decorrelator);
        const double found = mode == DecorrelationMode::closed_form
                                 ? double(tensor(state, "decorrelation/R")(2, 2))
                                 : 1 / double(tensor(state, "decorrelation/M")(2, 2));
        CHECK(found ==
              doctest::Approx(null == NullDirections::grow ? grown : 1.0).epsilon(200 * epsilon));
      }
}

TEST_CASE("evaluation and probes leave no trace") {
  for (const DecorrelationMode mode :
       {DecorrelationMode::closed_form, DecorrelationMode::settled}) {
    DecorrelatorParams params = params_for("ahmad2024", mode, Demean::batch);
    params.warm_start = true;
    params.batch = 10;
    OneStepDecorrelator quiet = make(params, 5), watched = make(params, 5);
    Matrix x, back, other;
    for (std::uint64_t t = 0; t < 6; ++t) {
      const Matrix z = correlated(5, 10, 2, t), G = normal(5, 10, 3, t);
      for (OneStepDecorrelator* d : {&quiet, &watched}) {
        const bool probe = d == &watched;
        x = d->forward_train(z);
        if (probe) {
          other = d->forward_evaluate(correlated(5, 33, 7));
          other = d->backward_probe(G);
        }
        back = d->backward(G);
        if (probe) {
          other = d->backward_probe(G);
          other = d->forward_evaluate(correlated(5, 10, 7));
        }
        d->learn();
      }
      CHECK(same_bits(save(quiet), save(watched)));
      if (mode == DecorrelationMode::settled) {
        CHECK(quiet.forward_settled()->steps == watched.forward_settled()->steps);
        CHECK(quiet.backward_settled()->steps == watched.backward_settled()->steps);
      }
    }
  }
}

TEST_CASE("training goes on from a saved state with the same bits") {
  for (const auto& integrator : integrator_table())
    for (const bool warm : {false, true})
      for (const DecorrelationMode mode :
           {DecorrelationMode::closed_form, DecorrelationMode::settled}) {
        CAPTURE(integrator.name);
        CAPTURE(warm);
        DecorrelatorParams params = params_for("ahmad2024", mode, Demean::batch);
        params.integrator = integrator.make;
        params.null_directions = NullDirections::freeze;
        params.warm_start = warm;
        params.batch = 10;
        OneStepDecorrelator straight = make(params, 6);
        train(straight, 6, 10, 7);
        train(straight, 6, 4, 1, 7);  // the last, smaller batch of an epoch
        OneStepDecorrelator resumed(params, 6, 99, 9);
        load(resumed, save(straight));
        train(straight, 6, 10, 5, 8);
        train(resumed, 6, 10, 5, 8);
        CHECK(same_bits(save(straight), save(resumed)));
        if (mode == DecorrelationMode::settled)
          CHECK(straight.forward_settled()->steps == resumed.forward_settled()->steps);
      }
}

TEST_CASE("a warm start settles in fewer steps on the same samples") {
  DecorrelatorParams params = params_for("ahmad2024", DecorrelationMode::settled, Demean::running);
  params.settle.tolerance = s(1e-4);
  params.rule_params.learning_rate = s(1e-3);
  int steps[2];
  for (const bool warm : {false, true}) {
    params.warm_start = warm;
    params.batch = 10;
    OneStepDecorrelator decorrelator = make(params, 6);
    train(decorrelator, 6, 10, 200);
    Matrix x;
    for (int t = 0; t < 60; ++t) {
      x = decorrelator.forward_train(correlated(6, 10, 5));
      decorrelator.learn();
    }
    steps[warm ? 1 : 0] = decorrelator.forward_settled()->steps;
    CHECK(decorrelator.forward_settled()->converged);
  }
  CHECK(steps[1] < steps[0]);
}

TEST_CASE("a matrix loaded without its spectrum still settles") {
  OneStepDecorrelator trained =
      make(params_for("ahmad2024", DecorrelationMode::settled, Demean::batch), 6);
  State state = save(trained);
  for (auto& [name, value] : state)
    if (name == "decorrelation/M") value = symmetric(6, 0.3, 12, 8);
  load(trained, state);
  Matrix x;
  x = trained.forward_evaluate(normal(6, 5, 1));
  CHECK(trained.evaluate_settled()->converged);
}

TEST_CASE("decorrelation lowers the correlations of its own output") {
  const Index n = 6, b = 64;
  OneStepDecorrelator decorrelator =
      make(params_for("ahmad2024", DecorrelationMode::closed_form, Demean::batch), n);
  train(decorrelator, n, b, 1500);
  Matrix x;
  x = decorrelator.forward_train(correlated(n, 4000, 5, 9999));
  const auto off = [](const Matrix& v) {
    const Matrix c = v * v.transpose();
    return double((c - Matrix(c.diagonal().asDiagonal())).norm() / c.norm());
  };
  CHECK(off(x) < 0.4 * off(decorrelator.centred()));
}

TEST_CASE("looking at the state between samples changes no bit of what is learned from them") {
  DecorrelatorParams params =
      params_for("ahmad2024", DecorrelationMode::closed_form, Demean::running);
  params.rule_params.learning_rate = s(1e-2);
  OneStepDecorrelator quiet = make(params, 7), watched = make(params, 7);
  for (std::uint64_t step = 0; step < 20; ++step) {
    const Matrix z = correlated(7, 1, 5, step);
    Matrix x_quiet, x_watched;
    x_quiet = quiet.forward_train(z);
    x_watched = watched.forward_train(z);
    CHECK(same_bits(x_quiet, x_watched));
    quiet.learn();
    watched.learn();
    save(watched);
  }
  CHECK(same_bits(save(quiet), save(watched)));
  CHECK(max_abs(tensor(save(quiet), "decorrelation/R") - Matrix::Identity(7, 7)) > 0.01);
}
