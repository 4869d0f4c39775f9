// Preconditioners: a common contract, and each against an independent oracle.
#include "core/preconditioner/preconditioner.hpp"

#include <Eigen/LU>

#include "core/decorrelation/covariance.hpp"
#include "core/loss/loss.hpp"
#include "core/preconditioner/kronecker_factor.hpp"
#include "tests/core/one_step.hpp"
#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

namespace {

constexpr Index units = 3, inputs = 4, samples = 12;

/// One step's view of a layer, and its gradient.
struct Curvature {
  std::uint64_t step;
  Matrix x, delta, fisher_delta, gradient;
  explicit Curvature(std::uint64_t step_)
      : step(step_),
        x(correlated(inputs, samples, 3, step)),
        delta(correlated(units, samples, 4, step)),
        fisher_delta(correlated(units, samples, 5, step)),
        gradient(delta * with_constant(x).transpose() / s(samples)) {}
  Matrix applied(Preconditioner& preconditioner) const {
    Matrix g = gradient;
    preconditioner.apply({step, x, delta, fisher_delta, plain_compute()}, g);
    return g;
  }
};

std::unique_ptr<Preconditioner> make(std::string_view name,
                                     const std::map<std::string, double>& own = {},
                                     double learning_rate = 0.1, int layers = 1) {
  return find_entry(preconditioner_table(), name)({learning_rate, layers, RuleParameters(own)},
                                                  units, inputs);
}

struct Stateful {
  Preconditioner& rule;
  void visit_state(const TensorVisitor& visit) { rule.visit_state("preconditioner/", visit); }
  void state_loaded() {}
};

Eigen::MatrixXd moment(const Matrix& v) {
  const Eigen::MatrixXd wide = v.cast<double>();
  return wide * wide.transpose() / static_cast<double>(v.cols());
}

Eigen::MatrixXd identity(Index n) { return Eigen::MatrixXd::Identity(n, n); }

double relative_error(const Matrix& value, const Eigen::MatrixXd& expected) {
  return (value.cast<double>() - expected).norm() / expected.norm();
}

const std::map<std::string, double> only_now{
    {"statistics_momentum", 1}, {"inverse_interval", 1}, {"kl_clip", 0}};

}  // namespace

TEST_CASE("every preconditioner says what it is and turns a gradient downhill, as a pure function" *
          doctest::test_suite("contract")) {
  for (const auto& entry : preconditioner_table()) {
    CAPTURE(entry.name);
    const auto a = make(entry.name), b = make(entry.name);
    CHECK(!a->info().summary.empty());
    CHECK(!a->info().locality.own.empty());
    for (const RuleParameter& parameter : a->info().parameters) {
      CHECK(parameter.min <= parameter.value);
      CHECK(parameter.value <= parameter.max);
      CHECK(!parameter.meaning.empty());
    }
    if (!a->changes_gradient()) continue;
    CHECK(!a->info().source.empty());
    for (std::uint64_t step = 1; step <= 25; ++step) {
      const Curvature curvature(step);
      const Matrix g = curvature.applied(*a);
      CHECK(g.allFinite());
      CHECK(same_bits(g, curvature.applied(*b)));
      CHECK(g.cwiseProduct(curvature.gradient).sum() > 0);
    }
  }
}

TEST_CASE("a preconditioner resumed from its state goes on in the same bits" *
          doctest::test_suite("contract")) {
  for (const auto& entry : preconditioner_table()) {
    CAPTURE(entry.name);
    if (!make(entry.name)->changes_gradient()) continue;
    const std::map<std::string, double> own = entry.name == "kfac"
                                                  ? std::map<std::string, double>{{"interval", 3}}
                                                  : std::map<std::string, double>{};
    const auto whole = make(entry.name, own), resumed = make(entry.name, own);
    for (std::uint64_t step = 1; step <= 7; ++step) Curvature(step).applied(*whole);
    Stateful from{*whole}, to{*resumed};
    load(to, save(from));
    for (std::uint64_t step = 8; step <= 30; ++step)
      CHECK(same_bits(Curvature(step).applied(*resumed), Curvature(step).applied(*whole)));
  }
}

TEST_CASE("every preconditioner declares the tensors that it keeps, whatever its parameters" *
          doctest::test_suite("contract")) {
  for (const auto& entry : preconditioner_table()) {
    CAPTURE(entry.name);
    for (const RuleParameters& own : parameter_choices(make(entry.name)->info())) {
      const auto rule = make(entry.name, own.set());
      Stateful state{*rule};
      const auto visited =
          visited_tensors([&](const TensorVisitor& visit) { state.visit_state(visit); });
      CHECK(describe(visited) == describe(rule->tensors("preconditioner/", units, inputs)));
      // The sizes that it was made for do not matter.
      const auto smallest = entry.make({0.1, 1, own}, 1, 1);
      CHECK(describe(visited) == describe(smallest->tensors("preconditioner/", units, inputs)));
      if (!rule->changes_gradient()) continue;
      Curvature(1).applied(*rule);
      CHECK(describe(visited_tensors([&](const TensorVisitor& visit) {
              state.visit_state(visit);
            })) == describe(visited));
    }
  }
}

TEST_CASE("kfac solves with the Kronecker product of its damped factors") {
  const Curvature c(1);
  for (const bool sampled : {true, false}) {
    auto own = only_now;
    const double damping = 0.02;
    own["damping"] = damping;
    own["sampled"] = sampled ? 1 : 0;
    const auto rule = make("kfac", own);
    CHECK(rule->fisher_errors() == (sampled ? FisherErrors::sampled : FisherErrors::none));
    const Eigen::MatrixXd A = moment(with_constant(c.x));
    const Eigen::MatrixXd S = moment(sampled ? c.fisher_delta : c.delta);
    const double pi = std::sqrt(A.trace() / static_cast<double>(A.rows()) /
                                (S.trace() / static_cast<double>(S.rows())));
    const Eigen::MatrixXd damped_A = A + pi * std::sqrt(damping) * identity(inputs + 1);
    const Eigen::MatrixXd damped_S = S + std::sqrt(damping) / pi * identity(units);
    // F = A ⊗ S acts on the columns of G one after another.
    const Index n = units * (inputs + 1);
    Eigen::MatrixXd fisher(n, n);
    for (Index i = 0; i <= inputs; ++i)
      for (Index j = 0; j <= inputs; ++j)
        fisher.block(i * units, j * units, units, units) = damped_A(i, j) * damped_S;
    const Eigen::MatrixXd gradient = c.gradient.cast<double>();
    const Eigen::VectorXd solved =
        fisher.fullPivLu().solve(Eigen::Map<const Eigen::VectorXd>(gradient.data(), n));
    const Eigen::MatrixXd expected =
        Eigen::Map<const Eigen::MatrixXd>(solved.data(), units, inputs + 1);
    CHECK(relative_error(c.applied(*rule), expected) < 500 * epsilon);
  }
}

TEST_CASE("kfac takes one factor at a time, and both are one after the other but for damping") {
  const Curvature c(1);
  auto own = only_now;
  own["damping"] = 1e-10;
  own["error_factor"] = 0;
  const auto input_only = make("kfac", own);
  CHECK(input_only->fisher_errors() == FisherErrors::none);
  own["error_factor"] = 1;
  own["input_factor"] = 0;
  const auto error_only = make("kfac", own);
  own["input_factor"] = 1;
  const auto both = make("kfac", own);
  const Eigen::MatrixXd G = c.gradient.cast<double>();
  const Eigen::MatrixXd A = moment(with_constant(c.x)), S = moment(c.fisher_delta);
  const double tolerance = is_double ? 1e-3 : 1e-2;
  CHECK(relative_error(c.applied(*input_only), G * A.inverse()) < tolerance);
  CHECK(relative_error(c.applied(*error_only), S.inverse() * G) < tolerance);
  CHECK(relative_error(c.applied(*both), S.inverse() * G * A.inverse()) < tolerance);
}

TEST_CASE("kfac bounds lr² <update, gradient>") {
  const Curvature c(1);
  const double learning_rate = 0.3;
  auto own = only_now;
  const Matrix whole = c.applied(*make("kfac", own, learning_rate));
  const auto divergence = [&](const Matrix& g) {
    return learning_rate * learning_rate *
           g.cast<double>().cwiseProduct(c.gradient.cast<double>()).sum();
  };
  own["kl_clip"] = divergence(whole) / 7;
  const Matrix clipped = c.applied(*make("kfac", own, learning_rate));
  CHECK(relative_error(clipped, whole.cast<double>() / std::sqrt(7.0)) < 20 * epsilon);
  own["kl_clip"] = divergence(whole) * 1.01;
  CHECK(same_bits(c.applied(*make("kfac", own, learning_rate)), whole));
}

TEST_CASE("foof is gradient descent on the weights of whitened inputs") {
  // y = V x̃ with x̃ = R x̄, R = (A + λ I)^(−1/2): a step of V = W R⁻¹ along its own gradient G Rᵀ
  // changes W = V R by G Rᵀ R.
  const Curvature c(1);
  const double damping = 0.05;
  const auto rule =
      make("foof", {{"statistics_momentum", 1}, {"inverse_interval", 1}, {"damping", damping}});
  const Eigenbasis basis =
      eigenbasis(moment(with_constant(c.x)) + damping * identity(inputs + 1), 0);
  const Eigen::MatrixXd R = symmetric_power(basis, -0.5);
  CHECK(relative_error(c.applied(*rule), c.gradient.cast<double>() * R.transpose() * R) <
        200 * epsilon);
}

namespace {

/// A deep linear network with a linear teacher, trained on one batch by exact natural gradients.
struct LinearNetwork {
  std::vector<OneStepLayer> layers;
  std::unique_ptr<Loss> loss = find_entry(loss_table(), "squared_error")();
  Matrix z, target;

  LinearNetwork(double rate, const std::string& decorrelation) {
    const std::vector<Index> sizes{4, 9, 7, 3};
    for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
      LayerParams p;
      p.input = {sizes[i], 1, 1};
      p.units = sizes[i + 1];
      p.classes = sizes.back();
      p.is_output = i + 2 == sizes.size();
      p.activation = find_entry(activation_table(), "identity");
      p.credit = find_entry(credit_table(), "backpropagation");
      p.preconditioner = find_entry(preconditioner_table(), "exact_natural_gradient");
      p.preconditioner_params = {rate, static_cast<int>(sizes.size() - 1), {}};
      p.optimizer = find_entry(optimizer_table(), "sgd");
      p.optimizer_params.learning_rate = rate;
      p.decorrelator.rule = find_entry(decorrelation_table(), decorrelation);
      p.decorrelator.rule_params.learning_rate = 0;  // R = 0.7 I throughout
      p.decorrelator.rule_params.gain = Gain::none;
      p.decorrelator.rule_params.initial_scale = s(0.7);
      p.decorrelator.demean = Demean::none;
      p.decorrelator.batch = 40;
      layers.emplace_back(p, 1, static_cast<std::uint32_t>(i + 1));
    }
    z = correlated(4, 40, 6);
    // What no network of these inputs can reach stays: the excess is what falls.
    target = normal(3, 4, 7) * z + s(0.5) * normal(3, 40, 8);
  }

  double mean_loss() {
    Matrix y = z;
    for (auto& layer : layers) y = layer.evaluate(y);
    return (y - target).cast<double>().squaredNorm() / 40;
  }
  /// Of the least squares solution with a constant.
  double least_loss() const {
    const Eigen::MatrixXd x = with_constant(z).cast<double>(), t = target.cast<double>();
    const Eigen::MatrixXd W = t * x.transpose() * (x * x.transpose()).inverse();
    return (t - W * x).squaredNorm() / 40;
  }
  void step(std::uint64_t number) {
    Matrix y = z;
    for (auto& layer : layers) y = layer.forward(y, number);
    std::vector<double> losses(40);
    Matrix error(3, 40);
    loss->evaluate(y, target, losses, error);
    for (std::size_t i = layers.size(); i-- > 0;) {
      layers[i].receive(error);
      if (i > 0) error = layers[i].send_back();
    }
    Matrix basis = s(std::sqrt(loss->constant_fisher())) * Matrix::Identity(3, 3);
    for (std::size_t i = layers.size(); i-- > 0;) {
      layers[i].receive(Signal::fisher_error, basis);
      if (i > 0) basis = layers[i].send_back(Signal::fisher_error);
    }
    for (auto& layer : layers) layer.learn();
  }
};

}  // namespace

TEST_CASE("the exact natural gradient of a deep linear network falls at its analytic rate") {
  for (const char* decorrelation : {"none", "ahmad2024"}) {
    CAPTURE(decorrelation);
    double previous = 0;
    for (const double rate : {0.02, 0.01, 0.005}) {
      LinearNetwork network(rate, decorrelation);
      const double least = network.least_loss();
      const double before = network.mean_loss() - least;
      network.step(1);
      const double ratio = (network.mean_loss() - least) / before;
      // The rest is of second order in the rate: a quarter when the rate is halved.
      const double off = std::abs(ratio - (1 - rate) * (1 - rate));
      CHECK(off < 4 * rate * rate);
      if (previous > 0 && is_double) CHECK(off < 0.3 * previous);
      previous = off;
    }
    LinearNetwork network(0.05, decorrelation);
    const double least = network.least_loss();
    const double start = network.mean_loss() - least;
    for (std::uint64_t step = 1; step <= 100; ++step) network.step(step);
    const double rate = std::log((network.mean_loss() - least) / start) / 100;
    CHECK(rate == doctest::Approx(2 * std::log(1 - 0.05)).epsilon(0.02));
  }
}

TEST_CASE("a factor that rounding made indefinite still has a finite positive inverse") {
  KroneckerFactor factor(40, 0.3);
  for (std::uint64_t step = 0; step < 30; ++step)  // of rank 2
    factor.add(s(100) * normal(40, 2, 1) * normal(2, 50, 2, step), plain_compute());
  factor.invert(1e-12);
  CHECK(factor.inverse().allFinite());
  CHECK(factor.inverse().trace() > 0);
}
