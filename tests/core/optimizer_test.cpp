// Optimizers against their formulas written out one number at a time.
#include "core/optimizer/optimizer.hpp"

#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

namespace {

struct Naive {
  OptimizerParams p;
  double m = 0, v = 0;
  int t = 0;
  double sgd(double w, double g) {
    v = p.momentum * v + g;
    return w - p.learning_rate * v;
  }
  double adam(double w, double g) {
    ++t;
    m = p.beta1 * m + (1 - p.beta1) * g;
    v = p.beta2 * v + (1 - p.beta2) * g * g;
    const double m_hat = m / (1 - std::pow(p.beta1, t));
    const double v_hat = v / (1 - std::pow(p.beta2, t));
    return w - p.learning_rate * m_hat / (std::sqrt(v_hat) + p.epsilon);
  }
};

void compare(const char* name, const OptimizerParams& params, Index rows, Index cols) {
  CAPTURE(name);
  CAPTURE(rows);
  const auto optimizer = find_entry(optimizer_table(), name)(params, rows, cols);
  Matrix w = normal(rows, cols, 1);
  std::vector<Naive> naive(static_cast<std::size_t>(w.size()), Naive{params});
  Eigen::MatrixXd expected = w.cast<double>();
  const int steps = 12;
  for (int t = 0; t < steps; ++t) {
    Matrix g = normal(rows, cols, 2, static_cast<std::uint64_t>(t));
    g(0) = 0;  // a parameter that never gets a gradient
    optimizer->step(g, w);
    for (Index i = 0; i < w.size(); ++i) {
      Naive& n = naive[static_cast<std::size_t>(i)];
      const double before = expected.data()[i];
      const auto gradient = static_cast<double>(g.data()[i]);
      expected.data()[i] =
          std::string(name) == "adam" ? n.adam(before, gradient) : n.sgd(before, gradient);
    }
  }
  CHECK((w.cast<double>() - expected).cwiseAbs().maxCoeff() <=
        steps * 8 * epsilon * (1 + expected.cwiseAbs().maxCoeff()));
}

}  // namespace

TEST_CASE("every optimizer follows its formula over several steps") {
  OptimizerParams params;
  params.learning_rate = 0.05;
  for (const Index rows : {1, 3, 17}) {
    compare("sgd", params, rows, 5);
    compare("adam", params, rows, 5);
    params.momentum = 0.9;
    compare("sgd", params, rows, 1);
    compare("adam", params, rows, 1);
    params.momentum = 0;
  }
}

TEST_CASE("the first step of Adam is the learning rate, whatever the gradient's size") {
  OptimizerParams params;
  params.learning_rate = 0.01;
  const auto adam = find_entry(optimizer_table(), "adam")(params, 2, 1);
  Matrix w = Matrix::Zero(2, 1), g(2, 1);
  g << s(1e-3), s(-1e3);
  adam->step(g, w);
  CHECK(static_cast<double>(w(0)) == doctest::Approx(-0.01).epsilon(1e-4));
  CHECK(static_cast<double>(w(1)) == doctest::Approx(0.01).epsilon(1e-4));
}

TEST_CASE("an optimizer goes on from its state with the same bits, and names what it keeps" *
          doctest::test_suite("contract")) {
  for (const auto& entry : optimizer_table()) {
    CAPTURE(entry.name);
    OptimizerParams params;
    params.momentum = 0.9;
    const auto first = entry.make(params, 4, 3), second = entry.make(params, 4, 3);
    Matrix w = normal(4, 3, 1);
    for (std::uint64_t t = 0; t < 5; ++t) first->step(normal(4, 3, 2, t), w);
    std::vector<Matrix> saved;
    first->visit_state("weight", [&](const TensorView& view) {
      CHECK(view.name.starts_with("weight_"));
      saved.emplace_back(Eigen::Map<Matrix>(view.data, view.rows, view.cols));
    });
    std::size_t next = 0;
    second->visit_state("weight", [&](const TensorView& view) {
      Eigen::Map<Matrix>(view.data, view.rows, view.cols) = saved.at(next++);
    });
    Matrix again = w;
    for (std::uint64_t t = 5; t < 9; ++t) {
      first->step(normal(4, 3, 2, t), w);
      second->step(normal(4, 3, 2, t), again);
    }
    CHECK(same_bits(w, again));
  }
}

TEST_CASE("every optimizer declares the tensors that it keeps" * doctest::test_suite("contract")) {
  for (const auto& entry : optimizer_table())
    for (const double momentum : {0.0, 0.9})
      for (const auto& [rows, cols] : {std::pair<Index, Index>{4, 3}, {4, 1}, {1, 3}, {1, 1}}) {
        CAPTURE(entry.name);
        CAPTURE(momentum);
        OptimizerParams params;
        params.momentum = momentum;
        const auto optimizer = entry.make(params, rows, cols);
        const auto visited = visited_tensors(
            [&](const TensorVisitor& visit) { optimizer->visit_state("weight", visit); });
        CHECK(describe(visited) == describe(optimizer->tensors("weight", rows, cols)));
        // The sizes that it was made for do not matter.
        const auto smallest = entry.make(params, 1, 1);
        CHECK(describe(visited) == describe(smallest->tensors("weight", rows, cols)));
      }
}

TEST_CASE("plain gradient descent keeps no state") {
  const auto sgd = find_entry(optimizer_table(), "sgd")({}, 4, 3);
  sgd->visit_state("weight", [](const TensorView& view) { FAIL(view.name); });
}
