// What every kind of layer keeps to, those of a plug-in among them (lateral-rule-test --plugin).
#include <algorithm>
#include <limits>
#include <memory>
#include <set>

#include "core/layer/layer.hpp"
#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

namespace {

constexpr Index inputs = 6, batch = 8;

/// A layer that neither perturbs nor decorrelates, unless a test changes that.
LayerParams plain_params(Index units) {
  LayerParams params;
  params.input = {inputs, 1, 1};
  params.units = units;
  params.classes = 3;
  params.activation = find_entry(activation_table(), "tanh");
  params.credit = find_entry(credit_table(), "backpropagation");
  params.preconditioner = find_entry(preconditioner_table(), "none");
  params.optimizer = find_entry(optimizer_table(), "adam");
  params.optimizer_params.learning_rate = 1e-2;
  params.decorrelator.rule = find_entry(decorrelation_table(), "none");
  params.decorrelator.demean = Demean::none;
  params.decorrelator.batch = batch;
  return params;
}

LayerParams decorrelating_params(Index units) {
  LayerParams params = plain_params(units);
  params.decorrelator.rule = find_entry(decorrelation_table(), "ahmad2024");
  params.decorrelator.rule_params.learning_rate = s(1e-2);
  params.decorrelator.demean = Demean::running;
  return params;
}

/// A layer of one kind, called as its process does.
struct Called {
  Called(const LayerKind& kind, const LayerParams& params, std::uint64_t seed = 1)
      : layer{kind.make(params, seed, 1)}, outputs{kind.output_shape(params).size()} {}

  Matrix unwritten(Index rows, Index cols) const {
    return Matrix::Constant(rows, cols, std::numeric_limits<Scalar>::quiet_NaN());
  }
  Matrix evaluate(const Matrix& z, const Matrix& added = {}) {
    Matrix y = unwritten(outputs, z.cols());
    layer->evaluate(z, added, y);
    return y;
  }
  /// A training step in pieces of so many samples; returns y, and the errors at input and added.
  std::vector<Matrix> train(LayerStep& step, std::uint64_t number, Index piece) {
    const Matrix z = correlated(inputs, batch, 1, number),
                 added = normal(outputs, batch, 2, number),
                 error = normal(outputs, batch, 3, number);
    std::vector<Matrix> found{unwritten(outputs, batch), unwritten(inputs, batch),
                              unwritten(outputs, batch)};
    layer->begin(step, number, batch);
    for (Index first = 0; first < batch; first += piece)
      layer->forward(step, first, z.middleCols(first, piece), added.middleCols(first, piece),
                     found[0].middleCols(first, piece));
    for (Index first = 0; first < batch; first += piece) {
      layer->receive(step, first, Signal::error, error.middleCols(first, piece));
      layer->send_back(step, {first, piece}, Signal::error, found[1].middleCols(first, piece),
                       found[2].middleCols(first, piece));
    }
    return found;
  }

  std::unique_ptr<Layer> layer;
  Index outputs;
};

/// Calls `check` for each kind and each of the parameters that it does not refuse.
template <class Check>
void for_each_kind(Check check) {
  for (const auto& [name, get] : layer_kind_table()) {
    const LayerKind& kind = get();
    CHECK_FALSE(kind.summary().empty());
    CAPTURE(name);
    int made = 0;
    std::string refusals;
    for (const LayerParams& params : {plain_params(5), decorrelating_params(5),
                                      plain_params(inputs), decorrelating_params(inputs)}) {
      CAPTURE(params.units);
      const bool decorrelates = params.decorrelator.demean != Demean::none;
      CAPTURE(decorrelates);
      const std::string refusal = kind.refusal(params);
      refusals += refusal + "; ";
      if (!refusal.empty()) continue;
      ++made;
      check(kind, params);
    }
    CAPTURE(refusals);
    CHECK(made > 0);
  }
}

TEST_SUITE_BEGIN("contract");

TEST_CASE("a kind of layer declares the tensors that its layers visit") {
  for_each_kind([](const LayerKind& kind, const LayerParams& params) {
    Called called(kind, params);
    const std::vector<TensorSpec> visited =
        visited_tensors([&](const TensorVisitor& visit) { called.layer->visit_state(visit); });
    const std::vector<TensorSpec> declared = kind.tensors(params);
    CHECK(visited.size() == declared.size());
    std::set<std::string> names;
    for (std::size_t i = 0; i < std::min(visited.size(), declared.size()); ++i) {
      CHECK(describe({visited[i]}) == describe({declared[i]}));
      CAPTURE(visited[i].name);
      CHECK(names.insert(visited[i].name).second);  // no other tensor has this name
    }
  });
}

TEST_CASE("the initial state of a layer is a function of seed and node") {
  for_each_kind([](const LayerKind& kind, const LayerParams& params) {
    Called first(kind, params), second(kind, params), other_seed(kind, params, 2);
    const auto other_node = kind.make(params, 1, 2);
    const State state = save(*first.layer);
    CHECK(same_bits(state, save(*second.layer)));
    CHECK_FALSE(same_bits(state, save(*other_seed.layer)));
    CHECK_FALSE(same_bits(state, save(*other_node)));
  });
}

TEST_CASE("only learning changes the state of a layer, and it writes all of its output") {
  for_each_kind([](const LayerKind& kind, const LayerParams& params) {
    Called called(kind, params);
    const State before = save(*called.layer);
    const auto step = called.layer->make_step();
    for (const Matrix& written : called.train(*step, 1, batch)) CHECK(written.allFinite());
    called.layer->measure(*step);
    CHECK(called.evaluate(normal(inputs, 3, 4)).allFinite());
    Matrix dy = called.unwritten(called.outputs, batch), squared = called.unwritten(1, batch);
    called.layer->forward_perturbed(*step, {0, batch}, normal(inputs, batch, 5), Matrix(), false,
                                    dy, squared);
    CHECK(dy.allFinite());
    CHECK(squared.allFinite());
    CHECK(squared.minCoeff() >= 0);
    CHECK(same_bits(before, save(*called.layer)));
    CHECK_FALSE(called.layer->diverged());
    CHECK(called.layer->centred(*step).cols() == batch);
    CHECK(called.layer->decorrelated(*step).cols() == batch);
  });
}

TEST_CASE("errors that a layer sends back are the gradient of what it computes") {
  for_each_kind([](const LayerKind& kind, const LayerParams& params) {
    Called called(kind, params);
    const Matrix z = normal(inputs, batch, 1), added = normal(called.outputs, batch, 2),
                 error = normal(called.outputs, batch, 3);
    const auto step = called.layer->make_step();
    Matrix y = called.unwritten(called.outputs, batch), at_input = called.unwritten(inputs, batch),
           at_added = called.unwritten(called.outputs, batch);
    called.layer->begin(*step, 1, batch);
    called.layer->forward(*step, 0, z, added, y);
    called.layer->receive(*step, 0, Signal::error, error);
    called.layer->send_back(*step, {0, batch}, Signal::error, at_input, at_added);
    // <error, y(+h d) - y(-h d)> / 2h = <error sent back, d>
    const Scalar h = s(is_double ? 1e-5 : 1e-2);
    const double epsilon_of_difference = is_double ? 1e-7 : 2e-2;
    const auto derivative = [&](const Matrix& above, const Matrix& below) {
      return static_cast<double>(error.cwiseProduct(above - below).sum() / (2 * h));
    };
    const auto product = [](const Matrix& a, const Matrix& b) {
      return static_cast<double>(a.cwiseProduct(b).sum());
    };
    const Matrix d = normal(inputs, batch, 4), e = normal(called.outputs, batch, 5);
    if (params.decorrelator.demean == Demean::none)
      CHECK(derivative(called.evaluate(z + h * d, added), called.evaluate(z - h * d, added)) ==
            doctest::Approx(product(at_input, d)).epsilon(epsilon_of_difference));
    CHECK(derivative(called.evaluate(z, added + h * e), called.evaluate(z, added - h * e)) ==
          doctest::Approx(product(at_added, e)).epsilon(epsilon_of_difference));
    // What a layer sends on of a small change is the change of its output.
    Matrix dy = called.unwritten(called.outputs, batch), none;
    called.layer->forward_perturbed(*step, {0, batch}, h * d, h * e, false, dy, none);
    const Matrix difference = called.evaluate(z + h * d, added + h * e) - called.evaluate(z, added);
    if (params.decorrelator.demean == Demean::none)
      CHECK(max_abs(dy - difference) <= (is_double ? 1e-12 : 2e-5));
  });
}

TEST_CASE("pieces of a batch and alternating steps give the results of whole steps") {
  for_each_kind([](const LayerKind& kind, const LayerParams& params) {
    Called whole(kind, params), pieces(kind, params);
    const auto step = whole.layer->make_step();
    const auto first = pieces.layer->make_step(), second = pieces.layer->make_step();
    const std::vector<Matrix> of_first = whole.train(*step, 1, batch),
                              of_second = whole.train(*step, 2, batch);
    const std::vector<Matrix> first_again = pieces.train(*first, 1, batch / 2),
                              second_again = pieces.train(*second, 2, batch / 4);
    for (std::size_t i = 0; i < of_first.size(); ++i) {
      CHECK(max_abs(of_first[i] - first_again[i]) <= 64 * epsilon);
      CHECK(max_abs(of_second[i] - second_again[i]) <= 64 * epsilon);
    }
    // The step that was begun earlier is learned although a later one has come in since.
    Called alone(kind, params);
    alone.train(*step, 1, batch / 2);
    alone.layer->learn(*step, false);
    pieces.layer->learn(*first, false);
    CHECK(same_bits(save(*alone.layer), save(*pieces.layer)));
  });
}

TEST_CASE("a layer continues from a loaded state in the same bits") {
  for_each_kind([](const LayerKind& kind, const LayerParams& params) {
    Called trained(kind, params), restored(kind, params, 2);
    const auto step = trained.layer->make_step(), its_step = restored.layer->make_step();
    for (std::uint64_t number = 1; number <= 3; ++number) {
      trained.train(*step, number, batch);
      trained.layer->learn(*step, false);
    }
    load(*restored.layer, save(*trained.layer));
    INFO("does visit_state() visit all that learn() changes?");
    for (std::uint64_t number = 4; number <= 5; ++number) {
      const auto expected = trained.train(*step, number, batch),
                 found = restored.train(*its_step, number, batch);
      for (std::size_t i = 0; i < found.size(); ++i) CHECK(same_bits(found[i], expected[i]));
      trained.layer->learn(*step, false);
      restored.layer->learn(*its_step, false);
    }
    CHECK(same_bits(save(*restored.layer), save(*trained.layer)));
  });
}

TEST_SUITE_END();

}  // namespace
