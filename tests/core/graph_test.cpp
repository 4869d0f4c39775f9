// Layers wired as a graph with skip connections of both kinds: the gradients that reach every
// weight are those of the loss, by finite differences.
#include <map>

#include "core/layer/layer.hpp"
#include "core/loss/loss.hpp"
#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

namespace {

constexpr Index samples = 7, values = 4, classes = 3;

/// What a node of the graph reads: node 0 is the source.
struct Reading {
  std::vector<std::size_t> inputs, added;
};

/// a: 5 of the source; b: 5 of a, plus a; c: 5 of the source and b, plus a; out: 3 of a and c.
const std::vector<Reading> readings{{{}, {}}, {{0}, {}}, {{1}, {1}}, {{0, 2}, {1}}, {{1, 3}, {}}};
const std::vector<Index> sizes{values, 5, 5, 5, classes};

struct Graph {
  std::vector<std::unique_ptr<Layer>> layers;  // by node; none for the source
  std::vector<std::unique_ptr<LayerStep>> steps;
  std::vector<Index> inputs{0};
  std::unique_ptr<Loss> loss = find_entry(loss_table(), "cross_entropy")();

  Graph(const char* credit, const char* rule, DecorrelationMode mode) {
    layers.emplace_back();
    steps.emplace_back();
    for (std::size_t node = 1; node < sizes.size(); ++node) {
      LayerParams params;
      Index n = 0;
      for (const std::size_t input : readings[node].inputs) n += sizes[input];
      inputs.push_back(n);
      params.input = {n, 1, 1};
      params.units = sizes[node];
      params.classes = classes;
      params.is_output = node + 1 == sizes.size();
      params.activation = find_entry(activation_table(), params.is_output ? "identity" : "tanh");
      params.credit = find_entry(credit_table(), credit);
      params.preconditioner = find_entry(preconditioner_table(), "none");
      params.optimizer = find_entry(optimizer_table(), "sgd");
      params.optimizer_params.learning_rate = 1;  // W before - W after is the gradient
      params.decorrelator.rule = find_entry(decorrelation_table(), rule);
      params.decorrelator.rule_params.mode = mode;
      params.decorrelator.demean = Demean::none;
      params.decorrelator.integrator = find_entry(integrator_table(), "chebyshev");
      params.decorrelator.settle.tolerance = s(is_double ? 1e-14 : 1e-6);
      layers.push_back(find_entry(layer_kind_table(), "dense")().make(
          params, 3, static_cast<std::uint32_t>(node)));
      // R or M that is not the identity.
      layers.back()->visit_state([&](const TensorView& tensor) {
        if (tensor.role == TensorRole::feedforward || tensor.role == TensorRole::lateral)
          Eigen::Map<Matrix>(tensor.data, tensor.rows, tensor.cols) =
              symmetric(tensor.rows, 0.5, 1.5, node);
      });
      layers.back()->state_loaded();
      steps.push_back(layers.back()->make_step());
    }
  }

  /// z and what is added of a node, from the activities of those it reads.
  std::pair<Matrix, Matrix> read(std::size_t node, const std::vector<Matrix>& y) const {
    Matrix z(inputs[node], samples), added;
    Index row = 0;
    for (const std::size_t input : readings[node].inputs) {
      z.middleRows(row, sizes[input]) = y[input];
      row += sizes[input];
    }
    for (const std::size_t other : readings[node].added)
      added = added.size() == 0 ? y[other] : Matrix(added + y[other]);
    return {z, added};
  }

  /// The mean loss, by evaluation: no state changes.
  double mean_loss(const Matrix& x, const Matrix& target) {
    std::vector<Matrix> y{x};
    for (std::size_t node = 1; node < layers.size(); ++node) {
      const auto [z, added] = read(node, y);
      y.emplace_back(sizes[node], samples);
      layers[node]->evaluate(z, added, y.back());
    }
    std::vector<double> losses(samples);
    Matrix error(classes, samples);
    loss->evaluate(y.back(), target, losses, error);
    double sum = 0;
    for (const double one : losses) sum += one;
    return sum / static_cast<double>(samples);
  }

  /// A training step up to learn(): forward, and errors against the connections.
  void assign_credit(const Matrix& x, const Matrix& target, Signal kind) {
    std::vector<Matrix> y{x};
    for (std::size_t node = 1; node < layers.size(); ++node) {
      const auto [z, added] = read(node, y);
      y.emplace_back(sizes[node], samples);
      layers[node]->begin(*steps[node], 1, samples);
      layers[node]->forward(*steps[node], 0, z, added, y.back());
    }
    std::vector<double> losses(samples);
    Matrix error(classes, samples);
    loss->evaluate(y.back(), target, losses, error);
    std::vector<Matrix> errors;
    for (const Index size : sizes) errors.push_back(Matrix::Zero(size, samples));
    errors.back() = error;
    for (std::size_t node = layers.size() - 1; node > 0; --node) {
      layers[node]->receive(*steps[node], 0, kind, errors[node]);
      Matrix at_input(inputs[node], samples), at_added(sizes[node], samples);
      layers[node]->send_back(*steps[node], {0, samples}, kind, at_input, at_added);
      Index row = 0;
      for (const std::size_t input : readings[node].inputs) {
        errors[input] += at_input.middleRows(row, sizes[input]);
        row += sizes[input];
      }
      for (const std::size_t other : readings[node].added) errors[other] += at_added;
    }
  }
};

std::map<TensorRole, Matrix> parameters(Layer& layer) {
  std::map<TensorRole, Matrix> found;
  layer.visit_state([&](const TensorView& tensor) {
    if (tensor.role == TensorRole::weight || tensor.role == TensorRole::bias)
      found[tensor.role] = Eigen::Map<const Matrix>(tensor.data, tensor.rows, tensor.cols);
  });
  return found;
}

TEST_CASE("backpropagation on a graph with two kinds of skips is the gradient of the loss") {
  if (!is_double) return;
  for (const char* rule : {"none", "ahmad2024"})
    for (const DecorrelationMode mode :
         {DecorrelationMode::closed_form, DecorrelationMode::settled}) {
      CAPTURE(rule);
      CAPTURE(static_cast<int>(mode));
      const Matrix x = normal(values, samples, 11);
      const Matrix target = onehot(std::vector<std::uint32_t>{0, 1, 2, 0, 1, 2, 2}, classes);
      Graph graph{"backpropagation", rule, mode};
      Graph learned{"backpropagation", rule, mode};
      learned.assign_credit(x, target, Signal::error);
      const double h = 1e-5;
      for (std::size_t node = 1; node < sizes.size(); ++node) {
        const auto before = parameters(*learned.layers[node]);
        learned.layers[node]->learn(*learned.steps[node], false);
        const auto after = parameters(*learned.layers[node]);
        graph.layers[node]->visit_state([&](const TensorView& tensor) {
          if (tensor.role != TensorRole::weight && tensor.role != TensorRole::bias) return;
          const Matrix gradient = before.at(tensor.role) - after.at(tensor.role);
          REQUIRE(max_abs(gradient) > 1e-3);
          for (Index i = 0; i < gradient.size(); ++i) {
            const Scalar value = tensor.data[i];
            tensor.data[i] = value + s(h);
            const double up = graph.mean_loss(x, target);
            tensor.data[i] = value - s(h);
            const double down = graph.mean_loss(x, target);
            tensor.data[i] = value;
            CHECK(std::abs(static_cast<double>(gradient.data()[i]) - (up - down) / (2 * h)) < 1e-8);
          }
        });
      }
    }
}

TEST_CASE("true errors on a graph are those of backpropagation, whatever the rule") {
  const Matrix x = normal(values, samples, 12);
  const Matrix target = onehot(std::vector<std::uint32_t>{0, 1, 2, 0, 1, 2, 2}, classes);
  Graph exact{"backpropagation", "ahmad2024", DecorrelationMode::closed_form};
  exact.assign_credit(x, target, Signal::error);
  Graph other{"feedback_alignment", "ahmad2024", DecorrelationMode::closed_form};
  other.assign_credit(x, target, Signal::error);
  other.assign_credit(x, target, Signal::true_error);
  for (std::size_t node = 1; node < sizes.size(); ++node) {
    Matrix a(exact.inputs[node], samples), b(exact.inputs[node], samples), none(0, 0);
    exact.layers[node]->send_back(*exact.steps[node], {0, samples}, Signal::error, a, none);
    other.layers[node]->send_back(*other.steps[node], {0, samples}, Signal::true_error, b, none);
    CHECK(max_abs(a - b) <= 1e3 * epsilon);
    CHECK(max_abs(a) > 1e-3);
  }
}

}  // namespace
