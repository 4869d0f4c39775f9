// The dense layer: gradients through decorrelation, credit rules, and its state.
#include "core/loss/loss.hpp"
#include "core/probe/measures.hpp"
#include "tests/core/one_step.hpp"
#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

namespace {

struct Setup {
  const char* credit = "backpropagation";
  const char* rule = "ahmad2024";
  const char* activation = "tanh";
  const char* preconditioner = "none";
  std::map<std::string, double> preconditioner_parameters;
  const char* optimizer = "sgd";
  DecorrelationMode mode = DecorrelationMode::closed_form;
  Demean demean = Demean::batch;
  double learning_rate = 0.05;
  double decorrelation_rate = 0.01;
  bool is_output = true;
  bool warm_start = false;
};

LayerParams layer_params(const Setup& setup, Index inputs, Index units, Index classes) {
  LayerParams p;
  p.input = {inputs, 1, 1};
  p.units = units;
  p.classes = classes;
  p.is_output = setup.is_output;
  p.activation = find_entry(activation_table(), setup.activation);
  p.credit = find_entry(credit_table(), setup.credit);
  p.preconditioner = find_entry(preconditioner_table(), setup.preconditioner);
  p.preconditioner_params.own = RuleParameters(setup.preconditioner_parameters);
  p.optimizer = find_entry(optimizer_table(), setup.optimizer);
  p.optimizer_params.learning_rate = setup.learning_rate;
  p.optimizer_params.momentum = 0.5;
  p.decorrelator.rule = find_entry(decorrelation_table(), setup.rule);
  p.decorrelator.rule_params.learning_rate = s(setup.decorrelation_rate);
  p.decorrelator.rule_params.mode = setup.mode;
  p.decorrelator.demean = setup.demean;
  p.decorrelator.integrator = find_entry(integrator_table(), "chebyshev");
  p.decorrelator.settle.tolerance = s(is_double ? 1e-13 : 1e-5);
  p.decorrelator.warm_start = setup.warm_start;
  p.decorrelator.batch = 8;
  return p;
}

std::vector<std::uint32_t> labels_for(Index b, Index classes, std::uint64_t step) {
  std::vector<std::uint32_t> labels;
  const RandomStream stream(5, 0, step, Purpose::generated_data);
  for (Index n = 0; n < b; ++n)
    labels.push_back(static_cast<std::uint32_t>(
        stream.below(static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(classes))));
  return labels;
}

/// A chain of layers with its loss: what the nodes do, without them.
struct Network {
  std::vector<OneStepLayer> layers;
  std::unique_ptr<Loss> loss = find_entry(loss_table(), "cross_entropy")();
  Index classes = 0;

  Network(Setup setup, const std::vector<Index>& sizes, std::uint64_t seed = 1)
      : classes(sizes.back()) {
    for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
      setup.is_output = i + 2 == sizes.size();
      if (setup.is_output) setup.activation = "identity";
      layers.emplace_back(layer_params(setup, sizes[i], sizes[i + 1], classes), seed,
                          static_cast<std::uint32_t>(i + 1));
    }
  }

  Matrix forward(const Matrix& z, std::uint64_t step) {
    Matrix y = z;
    for (auto& layer : layers) y = layer.forward(y, step);
    return y;
  }
  double total_loss(const Matrix& z, const std::vector<std::uint32_t>& labels) {
    const Matrix y = forward(z, 0);
    std::vector<double> losses(labels.size());
    Matrix error(classes, z.cols());
    loss->evaluate(y, onehot(labels, y.rows()), losses, error);
    double total = 0;
    for (const double l : losses) total += l;
    return total;
  }
  /// Everything up to learn(); returns the error at z where the rule passes one.
  Matrix assign_credit(const Matrix& z, const std::vector<std::uint32_t>& labels,
                       std::uint64_t step) {
    const Matrix y = forward(z, step);
    std::vector<double> losses(labels.size());
    Matrix error(classes, z.cols());
    loss->evaluate(y, onehot(labels, y.rows()), losses, error);
    switch (layers.front().credit().signal()) {
      case Signal::error:
        for (std::size_t i = layers.size(); i-- > 0;) {
          layers[i].receive(error);
          error = layers[i].send_back();
        }
        return error;
      case Signal::output_error:
        for (auto& layer : layers) layer.receive(error);
        break;
      case Signal::reward: {
        const CreditRule& rule = layers.front().credit();
        const bool one_at_a_time = rule.perturbed_pass() == PerturbedPass::units_of_one_layer;
        for (std::size_t perturbed = 0; perturbed < (one_at_a_time ? layers.size() : 1);
             ++perturbed) {
          Matrix d, change = Matrix::Zero(1, z.cols());
          double units = 0;
          for (std::size_t i = 0; i < layers.size(); ++i) {
            if (one_at_a_time && i < perturbed) continue;
            const bool own_noise = !one_at_a_time || i == perturbed;
            const OneStepLayer::Perturbed found = layers[i].forward_perturbed(d, own_noise);
            d = found.dy;
            change += found.squared_change;
            units += double(layers[i].params().units);
          }
          std::vector<double> reward(labels.size());
          loss->difference(y, d, onehot(labels, y.rows()), reward);
          Matrix signal(1, z.cols());
          for (Index n = 0; n < z.cols(); ++n)
            signal(0, n) = s(reward[static_cast<std::size_t>(n)] *
                             (rule.sees_whole_change() ? units / double(change(0, n)) : 1));
          for (std::size_t i = 0; i < layers.size(); ++i)
            if (!one_at_a_time || i == perturbed) layers[i].receive(signal);
        }
        break;
      }
      case Signal::true_error:
      case Signal::fisher_error:
        break;
    }
    return {};
  }
  double train(Index inputs, Index b, int steps, std::uint64_t first = 0) {
    double last = 0;
    for (int t = 0; t < steps; ++t) {
      const std::uint64_t step = first + static_cast<std::uint64_t>(t);
      const Matrix z = correlated(inputs, b, 3, step);
      std::vector<std::uint32_t> labels;  // learnable: the largest of the first inputs
      for (Index n = 0; n < b; ++n) {
        Index best = 0;
        z.col(n).head(std::min(classes, inputs)).maxCoeff(&best);
        labels.push_back(static_cast<std::uint32_t>(best));
      }
      assign_credit(z, labels, step);
      for (auto& layer : layers) layer.learn();
      last = total_loss(z, labels) / static_cast<double>(b);
    }
    return last;
  }
  template <class Visitor>
  void visit_state(const Visitor& visit) {
    for (auto& layer : layers) layer.visit_state(visit);
  }
  void state_loaded() {
    for (auto& layer : layers) layer.state_loaded();
  }
};

}  // namespace

TEST_CASE("backpropagation is the exact gradient through decorrelation and demeaning" *
          doctest::skip(!is_double)) {
  for (const DecorrelationMode mode : {DecorrelationMode::closed_form, DecorrelationMode::settled})
    for (const Demean demean : {Demean::batch, Demean::running, Demean::none})
      for (const char* rule : {"none", "ahmad2024"})
        for (const std::vector<Index>& sizes :
             {std::vector<Index>{5, 4}, std::vector<Index>{5, 6, 3}}) {
          CAPTURE(rule);
          CAPTURE(sizes.size());
          Setup setup;
          setup.mode = mode;
          setup.demean = demean;
          setup.rule = rule;
          Network network(setup, sizes);
          network.train(5, 8, 20);
          const Matrix z = correlated(5, 8, 4);
          const auto labels = labels_for(8, network.classes, 1);
          const Matrix error = network.assign_credit(z, labels, 0);
          const double h = 1e-5;  // central: error of size h², and of epsilon / h
          const double allowed = 1e-8;
          for (Index i = 0; i < z.size(); i += 3) {
            Matrix up = z, down = z;
            up(i) += s(h);
            down(i) -= s(h);
            const double slope =
                (network.total_loss(up, labels) - network.total_loss(down, labels)) / (2 * h);
            CHECK(std::abs(double(error(i)) - slope) <= allowed);
          }
          // W and b: what plain descent at rate 1 subtracts is (1/b) of the gradient of the sum.
          const State state = save(network);
          Setup plain = setup;
          plain.learning_rate = 1;
          Network one(plain, sizes);
          State zeroed = state;
          for (auto& [name, value] : zeroed)
            if (name.find("velocity") != std::string::npos) value.setZero();
          load(one, zeroed);
          one.assign_credit(z, labels, 0);
          for (auto& layer : one.layers) layer.learn();
          const State after = save(one);
          for (std::size_t i = 0; i < state.size(); ++i) {
            if (state[i].first != "weight" && state[i].first != "bias") continue;
            for (Index k = 0; k < state[i].second.size(); k += 3) {
              State moved = state;
              moved[i].second(k) += s(h);
              load(network, moved);
              const double up = network.total_loss(z, labels);
              moved[i].second(k) -= s(2 * h);
              load(network, moved);
              const double down = network.total_loss(z, labels);
              const double gradient = double(state[i].second(k) - after[i].second(k));
              CHECK(std::abs(gradient - (up - down) / (2 * h) / 8) <= allowed);
            }
          }
        }
}

TEST_CASE("feedback that skips decorrelation is the error at x itself") {
  Setup setup;
  LayerParams p = layer_params(setup, 5, 4, 4);
  p.feedback_through_decorrelation = false;
  OneStepLayer layer(p);
  layer.forward(correlated(5, 8, 1), 0);
  const Matrix error = normal(4, 8, 2);
  layer.receive(error);
  layer.learn();
  const Matrix z = correlated(5, 8, 3);
  const Matrix y = layer.forward(z, 1);
  layer.receive(error);
  const Matrix delta = (error.array() * (1 - y.array().square())).matrix();
  const Matrix weight = tensor(save(layer), "weight");
  CHECK(max_abs(layer.send_back() - weight.transpose() * delta) <= 64 * epsilon);
  // The true error goes through R all the same.
  layer.receive(Signal::true_error, error);
  layer.measure();
  const Matrix R = tensor(save(layer), "decorrelation/R");
  Matrix expected = R.transpose() * weight.transpose() * delta;
  expected.colwise() -= Vector(expected.rowwise().mean());
  CHECK(max_abs(layer.send_back(Signal::true_error) - expected) <= 256 * epsilon);
}

TEST_CASE("feedback alignment sends the error through B, and B never changes") {
  Setup setup;
  setup.credit = "feedback_alignment";
  OneStepLayer layer(layer_params(setup, 6, 4, 4));
  const Matrix B = tensor(save(layer), "feedback");
  CHECK(B.rows() == 4);
  CHECK(B.cols() == 6);
  CHECK(double(B.cwiseAbs().maxCoeff()) <= 1.0);  // √(6/6)
  CHECK(double(B.cwiseAbs().maxCoeff()) > 0.8);
  for (std::uint64_t t = 0; t < 5; ++t) {
    const Matrix y = layer.forward(correlated(6, 8, 1, t), t);
    const Matrix error = normal(4, 8, 2, t);
    layer.receive(error);
    const Matrix delta = (error.array() * (1 - y.array().square())).matrix();
    Matrix expected = tensor(save(layer), "decorrelation/R").transpose() * B.transpose() * delta;
    expected.colwise() -= Vector(expected.rowwise().mean());
    CHECK(max_abs(layer.send_back() - expected) <= 256 * epsilon);
    layer.learn();
  }
  CHECK(same_bits(tensor(save(layer), "feedback"), B));
}

TEST_CASE("direct feedback alignment reads the output error through B") {
  for (const bool is_output : {false, true}) {
    Setup setup;
    setup.credit = "direct_feedback_alignment";
    setup.is_output = is_output;
    const Index units = is_output ? 3 : 5;
    LayerParams p = layer_params(setup, 6, units, 3);
    p.optimizer_params.momentum = 0;
    OneStepLayer layer(p);
    const State before = save(layer);
    const Matrix z = correlated(6, 8, 1);
    const Matrix y = layer.forward(z, 0);
    const Matrix e = normal(3, 8, 2);
    layer.receive(e);
    layer.learn();
    Matrix at_units = e;
    if (!is_output) {
      const Matrix B = tensor(before, "feedback");
      CHECK(B.rows() == units);
      CHECK(B.cols() == 3);
      CHECK(double(B.cwiseAbs().maxCoeff()) <= std::sqrt(2.0));
      at_units = B * e;
    }
    const Matrix delta = (at_units.array() * (1 - y.array().square())).matrix();
    const Matrix x = z.colwise() - Vector(z.rowwise().mean());  // R is still I
    const State after = save(layer);
    CHECK(max_abs(tensor(before, "weight") - tensor(after, "weight") -
                  s(0.05 / 8) * delta * x.transpose()) <= 32 * epsilon);
    CHECK(max_abs(tensor(before, "bias") - tensor(after, "bias") -
                  s(0.05) * delta.rowwise().mean()) <= 32 * epsilon);
    CHECK_THROWS(layer.send_back());
  }
}

TEST_CASE("the perturbed pass is the clean one with noise on every pre-activation") {
  Setup setup;
  setup.credit = "node_perturbation";
  Network network(setup, {5, 6, 3});
  network.train(5, 8, 10);
  const Matrix z = correlated(5, 8, 1);
  Matrix y = z, noisy = z, d;
  for (std::size_t i = 0; i < 2; ++i) {
    OneStepLayer& layer = network.layers[i];
    const State state = save(layer);
    const Matrix R = tensor(state, "decorrelation/R"), W = tensor(state, "weight");
    const Matrix b = tensor(state, "bias");
    const Vector mean = y.rowwise().mean();  // the clean pass's, for both
    const Matrix clean = layer.forward(y, 77);
    d = layer.forward_perturbed(d).dy;
    Matrix noise(clean.rows(), 8);
    RandomStream(1, static_cast<std::uint32_t>(i + 1), 77, Purpose::node_noise)
        .fill_normal(noise, layer.params().sigma);
    Matrix a = (W * R * (noisy.colwise() - mean) + noise).colwise() + Vector(b);
    noisy = i == 0 ? Matrix(a.array().tanh()) : a;
    y = clean;
    CHECK(max_abs(d - (noisy - clean)) <= 256 * epsilon);  // the naive difference cancels
    CHECK(max_abs(d) > 1e-4);
  }
}

TEST_CASE("node perturbation approaches the true gradient as the noises add up") {
  Setup setup;
  setup.credit = "node_perturbation";
  setup.learning_rate = 1e-6;
  setup.decorrelation_rate = 0;
  LayerParams p = layer_params(setup, 4, 3, 3);
  p.optimizer_params.momentum = 0;
  p.decorrelator.rule_params.gain = Gain::none;
  OneStepLayer layer(p);
  const auto loss = find_entry(loss_table(), "cross_entropy")();
  const Matrix z = correlated(4, 2, 1);
  const std::vector<std::uint32_t> labels = {0, 2};
  std::vector<double> losses(2), reward(2);
  Matrix error(3, 2), signal(1, 2);
  const State before = save(layer);
  const Matrix y0 = layer.forward(z, 0);
  loss->evaluate(y0, onehot(labels, y0.rows()), losses, error);
  const Matrix delta = (error.array() * (1 - y0.array().square())).matrix();
  const Matrix expected = delta * (z.colwise() - Vector(z.rowwise().mean())).transpose() / 2;
  const int noises = 4000;
  for (int t = 0; t < noises; ++t) {
    const Matrix y = layer.forward(z, static_cast<std::uint64_t>(t));
    const Matrix dy = layer.forward_perturbed(Matrix()).dy;
    loss->difference(y, dy, onehot(labels, y.rows()), reward);
    signal << s(reward[0]), s(reward[1]);
    layer.receive(signal);
    layer.learn();
  }
  const Matrix found =
      (tensor(before, "weight") - tensor(save(layer), "weight")) / s(noises * 1e-6);
  // Each of the units · batch noises adds a relative error of 1/√noises: 2 degrees together.
  CHECK(angle_degrees(found, expected) < 5);
  CHECK(double(found.norm()) == doctest::Approx(double(expected.norm())).epsilon(0.1));
}

TEST_CASE("every credit rule learns, with and without decorrelation, in every layer" *
          doctest::test_suite("contract")) {
  for (const auto& entry : credit_table())
    for (const char* rule : {"none", "ahmad2024"}) {
      CAPTURE(entry.name);
      CAPTURE(rule);
      Setup setup;
      const std::string credit(entry.name);
      setup.credit = credit.c_str();
      setup.rule = rule;
      setup.optimizer = "adam";
      setup.learning_rate = 0.01;
      setup.decorrelation_rate = 1e-3;
      Network network(setup, {6, 12, 3});
      const State before = save(network);
      const double first = network.train(6, 32, 1);
      double last = 0;
      for (int i = 0; i < 10; ++i) last += network.train(6, 32, 30, 1 + 30 * std::uint64_t(i)) / 10;
      CHECK(last < 0.8 * first);
      const State after = save(network);
      for (std::size_t i = 0; i < before.size(); ++i)
        if (before[i].first == "weight" || before[i].first == "bias") {
          CAPTURE(i);
          CHECK(max_abs(before[i].second - after[i].second) > 1e-3);
        }
    }
}

TEST_CASE("every credit rule: no signal assigns nothing, the same signal the same bits" *
          doctest::test_suite("contract")) {
  for (const auto& entry : credit_table()) {
    CAPTURE(entry.name);
    const auto rule = entry.make({});
    const Index units = 5, inputs = 4, classes = 3, b = 6;
    const Index rows = rule->signal() == Signal::error          ? units
                       : rule->signal() == Signal::output_error ? classes
                                                                : 1;
    Matrix feedback;
    if (const auto shape = rule->feedback_shape(units, inputs, classes, false)) {
      CHECK(shape->rows == units);
      feedback = normal(shape->rows, shape->cols, 1);
      CHECK(shape->bound > 0);
      CHECK(std::isfinite(shape->bound));
    }
    CHECK(rule->perturbs() == (rule->signal() == Signal::reward));
    CHECK_FALSE(rule->info().summary.empty());
    CHECK_FALSE(rule->info().source.empty());
    if (rule->perturbed_pass() == PerturbedPass::all_weights) continue;  // no δ
    const Matrix slope = normal(units, b, 2), noise = s(1e-3) * normal(units, b, 3);
    Matrix delta(units, b), again(units, b);
    rule->assign({Matrix::Zero(rows, b), slope, noise, feedback, false, 1e-3}, delta);
    CHECK(delta.isZero(0));
    const Matrix signal = normal(rows, b, 4);
    rule->assign({signal, slope, noise, feedback, false, 1e-3}, delta);
    rule->assign({signal, slope, noise, feedback, false, 1e-3}, again);
    CHECK(same_bits(delta, again));
    CHECK(delta.cwiseAbs().minCoeff() > 0);
    Matrix G(inputs, b);
    const Matrix weight = normal(units, inputs, 5);
    if (rule->signal() == Signal::error) {
      Matrix work, G_again(inputs, b);
      const Operand back = rule->backward(weight, feedback, work);
      REQUIRE(back.rows() == inputs);
      REQUIRE(back.cols() == units);
      plain_compute().apply(back, delta, G);
      plain_compute().apply(rule->backward(weight, feedback, work), delta, G_again);
      CHECK(G.allFinite());
      CHECK(max_abs(G) > 0);
      CHECK(same_bits(G, G_again));
    } else {
      Matrix work;
      CHECK_THROWS(rule->backward(weight, feedback, work));
    }
  }
}

TEST_CASE("errors are sent back through W, B or the signs of W, as the rule says") {
  const Index units = 5, inputs = 4, b = 6;
  const Matrix weight = normal(units, inputs, 5), delta = normal(units, b, 4);
  const Matrix signs = weight.cwiseSign() / std::sqrt(s(3.0 * double(inputs)));
  for (const char* name : {"backpropagation", "feedback_alignment", "sign_symmetry"}) {
    CAPTURE(name);
    const auto rule = find_entry(credit_table(), name)({});
    Matrix feedback, work, G(inputs, b);
    if (const auto shape = rule->feedback_shape(units, inputs, 3, false)) {
      CHECK(shape->bound == doctest::Approx(std::sqrt(6.0 / double(shape->cols))));
      feedback = normal(shape->rows, shape->cols, 1);
    }
    plain_compute().apply(rule->backward(weight, feedback, work), delta, G);
    const Matrix& through = feedback.size() > 0                    ? feedback
                            : name == std::string("sign_symmetry") ? signs
                                                                   : weight;
    CHECK(max_abs(G - through.transpose() * delta) <= 64 * epsilon * max_abs(delta));
  }
  for (const char* name : {"direct_feedback_alignment", "node_perturbation"})
    if (const auto shape =
            find_entry(credit_table(), name)({})->feedback_shape(units, inputs, 3, false))
      CHECK(shape->bound == doctest::Approx(std::sqrt(6.0 / double(shape->cols))));
}

TEST_CASE("over the noise, every rule that perturbs follows the gradient of backpropagation" *
          doctest::test_suite("contract")) {
  const Index b = 4;
  const Matrix z = correlated(4, b, 1);
  const auto labels = labels_for(b, 3, 0);
  const auto steps_of = [&](const char* credit, int draws) {
    Setup setup;
    setup.credit = credit;
    setup.learning_rate = 1;
    setup.rule = "none";
    setup.demean = Demean::none;  // the noisy pass keeps the means of the clean one
    Network network(setup, {4, 3, 3});
    const State start = save(network);
    std::vector<Eigen::MatrixXd> mean(start.size());
    for (int t = 0; t < draws; ++t) {
      load(network, start);
      network.assign_credit(z, labels, static_cast<std::uint64_t>(t));
      for (auto& layer : network.layers) layer.learn();
      const State now = save(network);
      for (std::size_t i = 0; i < start.size(); ++i) {
        const Eigen::MatrixXd step = (now[i].second - start[i].second).cast<double>() / draws;
        if (mean[i].size() == 0)
          mean[i] = step;
        else
          mean[i] += step;
      }
    }
    Eigen::VectorXd all(0);
    for (std::size_t i = 0; i < start.size(); ++i) {
      if (start[i].first != "weight" && start[i].first != "bias") continue;
      const Eigen::VectorXd flat = mean[i].reshaped();
      all.conservativeResize(all.size() + flat.size());
      all.tail(flat.size()) = flat;
    }
    return all;
  };
  const Eigen::VectorXd gradient = steps_of("backpropagation", 1);
  for (const auto& entry : credit_table()) {
    if (!entry.make({})->perturbs()) continue;
    CAPTURE(entry.name);
    const Eigen::VectorXd estimate = steps_of(std::string(entry.name).c_str(), 8000);
    // Of 27 numbers, each with a noise of about the gradient's norm over the root of the draws.
    // What came from below also changes the units of activity_perturbation: not isotropic any more.
    const double close = entry.name == "activity_perturbation" ? 0.3 : 0.1;
    CHECK((estimate - gradient).norm() < close * gradient.norm());
  }
}

TEST_CASE("the rule's own gradient has angle 0 for backpropagation, and less than 90 is learned") {
  Setup setup;
  Network network(setup, {5, 6, 3});
  network.train(5, 8, 5);
  const Matrix z = correlated(5, 8, 1);
  const auto labels = labels_for(8, 3, 0);
  const Matrix y = network.forward(z, 0);
  std::vector<double> losses(8);
  Matrix error(3, 8);
  network.loss->evaluate(y, onehot(labels, y.rows()), losses, error);
  Matrix true_error = error;
  for (std::size_t i = 2; i-- > 0;) {
    network.layers[i].receive(error);
    error = network.layers[i].send_back();
    network.layers[i].receive(Signal::true_error, true_error);
    CHECK(network.layers[i].measure("gradient_angle_degrees") < 1e-3);
    true_error = network.layers[i].send_back(Signal::true_error);
    CHECK(max_abs(error - true_error) <= 64 * epsilon);
  }
}

TEST_CASE("training goes on from a saved state with the same bits, in both modes" *
          doctest::test_suite("contract")) {
  for (const auto& entry : credit_table())
    for (const char* optimizer : {"sgd", "adam"})
      for (const bool warm : {false, true})
        for (const DecorrelationMode mode :
             {DecorrelationMode::closed_form, DecorrelationMode::settled}) {
          CAPTURE(entry.name);
          CAPTURE(optimizer);
          CAPTURE(warm);
          Setup setup;
          const std::string credit(entry.name);
          setup.credit = credit.c_str();
          setup.optimizer = optimizer;
          setup.mode = mode;
          setup.warm_start = warm;
          Network straight(setup, {5, 6, 3});
          straight.train(5, 8, 6);
          straight.train(5, 3, 1, 6);
          Network resumed(setup, {5, 6, 3});
          load(resumed, save(straight));
          straight.train(5, 8, 4, 7);
          resumed.train(5, 8, 4, 7);
          CHECK(same_bits(save(straight), save(resumed)));
        }
}

TEST_CASE("evaluation and probes leave no trace in a layer") {
  for (const DecorrelationMode mode :
       {DecorrelationMode::closed_form, DecorrelationMode::settled}) {
    Setup setup;
    setup.mode = mode;
    setup.warm_start = true;
    OneStepLayer quiet(layer_params(setup, 5, 4, 4)), watched(layer_params(setup, 5, 4, 4));
    for (std::uint64_t t = 0; t < 5; ++t) {
      const Matrix z = correlated(5, 8, 1, t), error = normal(4, 8, 2, t);
      for (OneStepLayer* layer : {&quiet, &watched}) {
        const bool watch = layer == &watched;
        layer->forward(z, t);
        if (watch) layer->evaluate(correlated(5, 21, 9));
        layer->receive(error);
        if (watch) {
          layer->receive(Signal::true_error, error);
          layer->send_back(Signal::true_error);
        }
        layer->send_back();
        if (watch) {
          layer->send_back(Signal::true_error);
          CHECK(layer->measure().size() > 7);  // the angle to the true gradient among them
        }
        layer->learn(watch);
        if (watch) {
          CHECK(layer->report().weight_update_norm > 0);
          layer->evaluate(z);
        }
      }
      CHECK(same_bits(save(quiet), save(watched)));
      if (mode == DecorrelationMode::settled) {
        CHECK(quiet.report().forward_settled->steps == watched.report().forward_settled->steps);
        CHECK(quiet.report().backward_settled->steps == watched.report().backward_settled->steps);
      }
    }
  }
}

TEST_CASE("the initial state is a pure function of seed and node, within its bounds") {
  Setup setup;
  setup.credit = "feedback_alignment";
  const LayerParams p = layer_params(setup, 24, 10, 10);
  OneStepLayer a(p, 1, 2), b(p, 1, 2), c(p, 2, 2), d(p, 1, 3);
  const State state = save(a);
  CHECK(same_bits(state, save(b)));
  CHECK_FALSE(same_bits(state, save(c)));
  CHECK_FALSE(same_bits(state, save(d)));
  const double bound = 1 / std::sqrt(24.0);
  CHECK(max_abs(tensor(state, "weight")) <= bound * (1 + epsilon));
  CHECK(max_abs(tensor(state, "weight")) > 0.95 * bound);
  CHECK(max_abs(tensor(state, "bias")) <= bound * (1 + epsilon));
  CHECK(max_abs(tensor(state, "feedback")) > 0.95 * 0.5);
  CHECK(max_abs(tensor(state, "feedback")) <= 0.5 * (1 + epsilon));
  CHECK(same_bits(tensor(state, "decorrelation/R"), Matrix::Identity(24, 24)));
  CHECK(tensor(state, "decorrelation/mean").isZero(0));
  const std::vector<std::string> order = {"weight",
                                          "bias",
                                          "feedback",
                                          "decorrelation/R",
                                          "decorrelation/mean",
                                          "optimizer/weight_velocity",
                                          "optimizer/bias_velocity"};
  REQUIRE(state.size() == order.size());
  for (std::size_t i = 0; i < order.size(); ++i) CHECK(state[i].first == order[i]);
}

TEST_CASE("a batch of another size, one sample too, is taken as it comes") {
  Setup setup;
  setup.demean = Demean::running;
  setup.mode = DecorrelationMode::settled;
  OneStepLayer layer(layer_params(setup, 5, 4, 4));
  std::uint64_t step = 0;
  for (const Index b : {8, 3, 1, 8, 17, 1}) {
    CAPTURE(b);
    CHECK(layer.forward(correlated(5, b, 1, step), step).allFinite());
    layer.receive(normal(4, b, 2, step));
    CHECK(layer.send_back().allFinite());
    layer.learn();
    CHECK(layer.report().forward_settled->converged);
    ++step;
  }
  for (const auto& [name, value] : save(layer)) CHECK(value.allFinite());
}

TEST_CASE("the initial gain scales the weights of the start and nothing else") {
  LayerParams params = layer_params(Setup{}, 6, 4, 4);
  OneStepLayer plain(params, 3);
  params.initial_gain = 2;
  OneStepLayer wide(params, 3);
  const State a = save(plain), b = save(wide);
  CHECK(max_abs(tensor(b, "weight") - 2 * tensor(a, "weight")) <= 2 * epsilon);
  CHECK(same_bits(tensor(b, "bias"), tensor(a, "bias")));
}

TEST_CASE("Fisher errors reach a layer as its own errors do") {
  // With the readout's real error in the place of a drawn one, both forms of kfac see the same S.
  for (const bool sampled : {true, false}) {
    CAPTURE(sampled);
    static State first;
    Setup setup;
    setup.preconditioner = "kfac";
    setup.preconditioner_parameters = {{"sampled", sampled ? 1.0 : 0.0}};
    Network network(setup, {6, 5, 4, 3});
    const Matrix z = correlated(6, 8, 2);
    for (std::uint64_t step = 1; step <= 3; ++step) {
      const auto labels = labels_for(8, 3, step);
      network.assign_credit(z, labels, step);
      Matrix y = z;
      std::vector<double> losses(8);
      Matrix error(3, 8);
      network.loss->evaluate(network.forward(z, step), onehot(labels, 3), losses, error);
      const Matrix output_error = error;
      for (const bool fisher : {false, true}) {
        if (fisher && !sampled) break;
        error = output_error;
        for (std::size_t i = network.layers.size(); i-- > 0;) {
          OneStepLayer& layer = network.layers[i];
          const Signal kind = fisher ? Signal::fisher_error : Signal::error;
          layer.receive(kind, error);
          error = layer.send_back(kind);
        }
      }
      for (auto& layer : network.layers) layer.learn();
    }
    State state;
    for (auto& layer : network.layers)
      for (auto& tensor : save(layer)) state.push_back(std::move(tensor));
    if (sampled)
      first = state;
    else
      for (std::size_t i = 0; i < state.size(); ++i)
        CHECK(max_abs(state[i].second - first[i].second) <=
              1000 * epsilon * (1 + max_abs(first[i].second)));
  }
}

TEST_CASE(
    "pieces of a batch, and calls of two steps that alternate, give the bits of whole steps") {
  constexpr Index inputs = 5, units = 4, samples = 8;
  const Compute compute{{find_entry(product_table(), "eigen"), Precision::float32, 1, 4}};
  for (const auto& entry : credit_table())
    for (const DecorrelationMode mode :
         {DecorrelationMode::closed_form, DecorrelationMode::settled}) {
      CAPTURE(entry.name);
      CAPTURE(static_cast<int>(mode));
      const std::string credit_name(entry.name);
      Setup setup;
      setup.credit = credit_name.c_str();
      setup.mode = mode;
      setup.demean = Demean::running;
      LayerParams params = layer_params(setup, inputs, units, units);
      params.decorrelator.compute = &compute;
      const auto credit = entry.make({});
      const Index signal_rows = credit->signal() == Signal::reward ? 1 : units;
      /// All that two steps give, and the state after them.
      const auto run = [&](Index width, bool alternates) {
        const std::unique_ptr<Layer> layer = dense_kind().make(params, 1, 1);
        struct Given {
          std::unique_ptr<LayerStep> step;
          Matrix y = unwritten(units, samples), dy = y, change = unwritten(1, samples),
                 back = unwritten(inputs, samples);
        };
        std::vector<Given> steps(2);
        const auto for_pieces = [&](bool in_turn, const auto& call) {
          const auto of_step = [&](std::size_t t, Index first) { call(steps[t], t + 1, first); };
          if (in_turn)
            for (std::size_t t = 0; t < 2; ++t)
              for (Index first = 0; first < samples; first += width) of_step(t, first);
          else
            for (Index first = 0; first < samples; first += width)
              for (std::size_t t = 0; t < 2; ++t) of_step(t, first);
        };
        for (std::size_t t = 0; t < 2; ++t) {
          steps[t].step = layer->make_step();
          layer->begin(*steps[t].step, t + 1, samples);
        }
        for_pieces(!alternates, [&](Given& given, std::uint64_t number, Index first) {
          const Matrix z = correlated(inputs, samples, 1, number);
          layer->forward(*given.step, first, z.middleCols(first, width), Matrix(),
                         given.y.middleCols(first, width));
        });
        if (credit->perturbs())
          for_pieces(true, [&](Given& given, std::uint64_t number, Index first) {
            const Matrix dz = s(0.1) * normal(inputs, samples, 2, number);
            layer->forward_perturbed(*given.step, {first, width}, dz.middleCols(first, width),
                                     Matrix(), true, given.dy.middleCols(first, width),
                                     given.change.middleCols(first, width));
          });
        for_pieces(!alternates, [&](Given& given, std::uint64_t number, Index first) {
          // Of few bits, so that its sum is exact in any order.
          const Matrix signal =
              (8 * normal(signal_rows, samples, 3, number)).array().round() / s(8);
          layer->receive(*given.step, first, credit->signal(), signal.middleCols(first, width));
          if (credit->signal() != Signal::error) return;
          Matrix at_added;
          layer->send_back(*given.step, {first, width}, Signal::error,
                           given.back.middleCols(first, width), at_added);
        });
        State all;
        for (Given& given : steps) {
          layer->learn(*given.step, false);
          for (const Matrix& matrix : {given.y, given.dy, given.change, given.back})
            all.emplace_back("given", matrix);
        }
        for (auto& tensor : save(*layer)) all.push_back(std::move(tensor));
        return all;
      };
      const State whole = run(samples, false);
      CHECK(tensor(whole, "weight").allFinite());
      for (const auto& [width, alternates] :
           {std::pair<Index, bool>{samples, true}, {4, false}, {4, true}}) {
        CAPTURE(width);
        CAPTURE(alternates);
        CHECK(same_bits(run(width, alternates), whole));
      }
    }
}
