// Every decorrelation rule: the contract that all keep, and for each a check against an oracle that
// is not its own code.
#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <set>

#include "core/decorrelation/decorrelator.hpp"
#include "tests/core/one_step.hpp"
#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

namespace {

struct Setup {
  std::string rule;
  DecorrelationMode mode = DecorrelationMode::closed_form;
  Demean demean = Demean::batch;
  double rate = 0.01;
  double scale = 1;
  std::map<std::string, double> own = {};
};

DecorrelatorParams params_for(const Setup& setup) {
  DecorrelatorParams params;
  params.rule = find_entry(decorrelation_table(), setup.rule);
  REQUIRE((params.rule != nullptr));
  params.rule_params.learning_rate = s(setup.rate);
  params.rule_params.initial_scale = s(setup.scale);
  params.rule_params.mode = setup.mode;
  params.rule_params.own = RuleParameters(setup.own);
  params.demean = setup.demean;
  params.sample_fraction = 1;
  params.integrator = find_entry(integrator_table(), "euler");
  params.settle.tolerance = s(is_double ? 1e-11 : 3e-6);
  params.settle.max_steps = 20000;
  return params;
}

OneStepDecorrelator make(const Setup& setup, Index n) { return {params_for(setup), n}; }

/// Each rule in each of its modes.
template <class Check>
void for_each_rule(Check&& check) {
  for (const auto& entry : decorrelation_table()) {
    const std::string name{entry.name};
    if (name == "none") continue;
    const DecorrelationModes modes = entry.make({})->modes();
    REQUIRE((modes.closed_form || modes.settled));
    CAPTURE(name);
    if (modes.closed_form) check(Setup{name, DecorrelationMode::closed_form});
    if (modes.settled) check(Setup{name, DecorrelationMode::settled});
  }
}

void train(OneStepDecorrelator& decorrelator, Index n, Index b, std::uint64_t first,
           std::uint64_t last) {
  Matrix x;
  for (std::uint64_t t = first; t < last; ++t) {
    x = decorrelator.forward_train(correlated(n, b, 5, t));
    decorrelator.learn();
  }
}

bool same(const State& a, const State& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].first != b[i].first || !same_bits(a[i].second, b[i].second)) return false;
  return true;
}

/// Trains on one set of samples (n × b, whitened data mixed) until the end; x of it.
Matrix converge(const Setup& setup, const Matrix& z, int steps) {
  OneStepDecorrelator decorrelator = make(setup, z.rows());
  Matrix x;
  for (int t = 0; t < steps; ++t) {
    x = decorrelator.forward_train(z);
    decorrelator.learn();
  }
  x = decorrelator.forward_train(z);
  return x;
}

Matrix second_moment(const Matrix& x) { return x * x.transpose() / s(double(x.cols())); }

Matrix off_diagonal(Matrix C) {
  C.diagonal().setZero();
  return C;
}

/// Samples of zero mean whose second moment is C exactly.
Matrix samples_of(const Matrix& C, Index b, std::uint64_t seed) {
  Matrix z = normal(C.rows(), b, seed);
  z.colwise() -= Vector(z.rowwise().mean());
  const Eigen::LLT<Matrix> is(second_moment(z)), wanted(C);
  return Matrix(wanted.matrixL()) * Matrix(is.matrixL().solve(z));
}

const Matrix& mixed() {
  static const Matrix C = [] {
    Matrix c(4, 4);
    c << s(2), s(0.6), s(0.3), s(-0.2), s(0.6), s(1), s(0.4), s(0.1), s(0.3), s(0.4), s(0.8),
        s(0.25), s(-0.2), s(0.1), s(0.25), s(0.5);
    return c;
  }();
  return C;
}

}  // namespace

TEST_CASE("every rule says what it is" * doctest::test_suite("contract")) {
  std::set<std::string> names;
  for (const auto& entry : decorrelation_table()) {
    CAPTURE(entry.name);
    const auto rule = entry.make({});
    const RuleInfo& info = rule->info();
    CHECK_FALSE(info.summary.empty());
    CHECK((entry.name == "none" || !info.source.empty()));
    CHECK_FALSE(info.locality.own.empty());
    CHECK_FALSE(info.locality.neighbours.empty());
    CHECK_FALSE(info.locality.broadcast.empty());
    std::set<std::string> parameters;
    for (const RuleParameter& parameter : info.parameters) {
      CHECK(parameters.insert(parameter.name).second);
      CHECK(parameter.min <= parameter.value);
      CHECK(parameter.value <= parameter.max);
      CHECK_FALSE(parameter.meaning.empty());
    }
  }
}

TEST_CASE("every rule repeats itself, and goes on from a saved state in the same bits" *
          doctest::test_suite("contract")) {
  for_each_rule([](const Setup& setup) {
    const Index n = 6, b = 12;
    OneStepDecorrelator first = make(setup, n), second = make(setup, n), third = make(setup, n);
    const State start = save(first);
    train(first, n, b, 0, 20);
    train(second, n, b, 0, 20);
    CHECK(same(save(first), save(second)));
    CHECK_FALSE(same(save(first), start));
    load(third, save(first));
    third.state_loaded();
    train(second, n, b, 20, 30);
    train(third, n, b, 20, 30);
    const State whole = save(second), resumed = save(third);
    REQUIRE(whole.size() == resumed.size());
    for (std::size_t i = 0; i < whole.size(); ++i) {
      CAPTURE(whole[i].first);
      CHECK(whole[i].second.allFinite());
      // The tracked spectrum is refreshed when a state is loaded, so settling ends elsewhere within
      // the tolerance.
      CHECK(max_abs(whole[i].second - resumed[i].second) <=
            (setup.mode == DecorrelationMode::settled ? 1e-3 : 0.0));
    }
  });
}

TEST_CASE("every rule declares the tensors that it keeps, whatever its parameters" *
          doctest::test_suite("contract")) {
  for_each_rule([](const Setup& setup) {
    CAPTURE(static_cast<int>(setup.mode));
    DecorrelationParams params = params_for(setup).rule_params;
    MakeDecorrelationRule* make_rule = params_for(setup).rule;
    for (const RuleParameters& own : parameter_choices(make_rule(params)->info()))
      for (const Index n : {1, 5}) {
        params.own = own;
        const auto rule = make_rule(params);
        const KeptTensors kept = rule->kept_tensors(setup.mode);
        const std::string declared = describe(rule->own_tensors("decorrelation/", n));
        DecorrelationState state;
        rule->begin(n, RandomStream(1, 2, 0, Purpose::initial_decorrelation), state);
        const auto check_state = [&] {
          CHECK((state.R.rows() == (kept.R ? n : 0) && state.R.cols() == state.R.rows()));
          CHECK((state.M.rows() == (kept.M ? n : 0) && state.M.cols() == state.M.rows()));
          CHECK(state.threshold.size() == (kept.threshold ? n : 0));
          const auto visited = visited_tensors(
              [&](const TensorVisitor& visit) { rule->visit_state("decorrelation/", visit); });
          CHECK(describe(visited) == declared);
        };
        check_state();
        const Matrix z = correlated(n, 4, 7);
        Matrix x = z;
        if (rule->whitens_batch()) x = *rule->batch_matrix(z, plain_compute()) * z;
        rule->update({z, z, x, Vector::Ones(n)}, state);
        check_state();
      }
  });
  const auto none = find_entry(decorrelation_table(), "none")({});
  CHECK((none->kept_tensors(DecorrelationMode::closed_form) == KeptTensors{false, false, false}));
  CHECK(none->own_tensors("decorrelation/", 5).empty());
}

TEST_CASE("before the first update every rule's x is initial_scale times what came in" *
          doctest::test_suite("contract")) {
  for_each_rule([](Setup setup) {
    setup.scale = 3;
    OneStepDecorrelator decorrelator = make(setup, 5);
    if (params_for(setup).rule({})->whitens_batch()) return;
    Matrix x;
    x = decorrelator.forward_train(correlated(5, 8, 1));
    if (setup.rule == "lipshutz2024") return;  // spread over random directions
    CHECK(max_abs(x - 3 * decorrelator.centred()) <= (is_double ? 1e-9 : 1e-4));
  });
}

TEST_CASE("evaluation, differences and probes leave no trace in any rule" *
          doctest::test_suite("contract")) {
  for_each_rule([](const Setup& setup) {
    const Index n = 6, b = 12;
    OneStepDecorrelator decorrelator = make(setup, n);
    train(decorrelator, n, b, 0, 5);
    const State before = save(decorrelator);
    Matrix x, out;
    out = decorrelator.forward_evaluate(correlated(n, 7, 9));
    x = decorrelator.forward_train(correlated(n, b, 9, 1));
    out = decorrelator.forward_difference(normal(n, b, 3));
    out = decorrelator.backward(normal(n, b, 4));
    out = decorrelator.backward_probe(normal(n, b, 4));
    CHECK(same(save(decorrelator), before));
  });
}

TEST_CASE("the way back is the transpose of the way forward in every rule" *
          doctest::test_suite("contract")) {
  for_each_rule([](Setup setup) {
    if (params_for(setup).rule({})->whitens_batch()) return;  // see their own test
    setup.demean = Demean::none;
    const Index n = 6, b = 12;
    OneStepDecorrelator decorrelator = make(setup, n);
    train(decorrelator, n, b, 0, 20);
    Matrix x, forward, back;
    x = decorrelator.forward_train(correlated(n, b, 9));
    const Matrix d = normal(n, b, 3), G = normal(n, b, 4);
    forward = decorrelator.forward_difference(d);
    back = decorrelator.backward(G);
    const double along = static_cast<double>(G.cwiseProduct(forward).sum());
    CHECK(static_cast<double>(back.cwiseProduct(d).sum()) ==
          doctest::Approx(along).epsilon(is_double ? 1e-8 : 1e-3));
  });
}

TEST_CASE("the relative-gradient rules come to rest where their sources say") {
  const Matrix z = samples_of(mixed(), 64, 1);
  const double rest = is_double ? 1e-6 : 1e-3;
  for (const DecorrelationMode mode :
       {DecorrelationMode::closed_form, DecorrelationMode::settled}) {
    CAPTURE(static_cast<int>(mode));
    const auto C = [&](const char* rule, std::map<std::string, double> own) {
      return second_moment(converge({rule, mode, Demean::none, 0.05, 1, std::move(own)}, z, 3000));
    };
    const Matrix identity = Matrix::Identity(4, 4);
    CHECK(max_abs(off_diagonal(C("ahmad2022", {}))) <= rest);
    CHECK(max_abs(off_diagonal(C("dalm2024", {{"kappa", 0}}))) <= rest);
    CHECK(max_abs(C("dalm2024", {{"kappa", 0.3}}) - identity) <= rest);
    CHECK(max_abs(C("cardoso1996", {}) - identity) <= rest);
    CHECK(max_abs(C("variance_keeping", {{"kappa", 0.5}}) -
                  Matrix(mixed().diagonal().asDiagonal())) <= rest);
  }
  // κ = 1 takes variances to one and leaves correlations alone.
  const Matrix normalized = second_moment(
      converge({"dalm2024", DecorrelationMode::closed_form, Demean::none, 0.05, 1, {{"kappa", 1}}},
               z, 3000));
  const Vector sd = mixed().diagonal().cwiseSqrt();
  const Matrix correlation = sd.asDiagonal().inverse() * mixed() * sd.asDiagonal().inverse();
  CHECK(max_abs(normalized - correlation) <= rest);
}

TEST_CASE("in M the relative-gradient rules are the inverse of the implicit step in R") {
  const Index n = 4;
  const Matrix z = samples_of(mixed(), 32, 2);
  const Scalar eta = s(0.03);
  const Matrix M0 = Matrix::Identity(n, n) + s(0.2) * symmetric(n, 0, 1, 3);
  const Matrix R0 = M0.inverse();
  const Matrix x = R0 * z;
  const Matrix C = second_moment(x);
  const Matrix diagonal = C.diagonal().asDiagonal();
  const Matrix I = Matrix::Identity(n, n);
  const Scalar kappa = s(0.3);
  const std::vector<std::tuple<std::string, std::map<std::string, double>, Matrix>> rules{
      {"ahmad2022", {}, C - diagonal},
      {"dalm2024", {{"kappa", 0.3}}, (1 - kappa) * (C - diagonal) + kappa * (diagonal - I)},
      {"cardoso1996", {}, C - I},
      {"variance_keeping",
       {{"kappa", 0.3}},
       C - diagonal + kappa * (diagonal - Matrix(second_moment(z).diagonal().asDiagonal()))}};
  for (const auto& [name, own, Q] : rules) {
    CAPTURE(name);
    for (const DecorrelationMode mode :
         {DecorrelationMode::closed_form, DecorrelationMode::settled}) {
      const bool settled = mode == DecorrelationMode::settled;
      const DecorrelatorParams params = params_for({name, mode, Demean::none, 0.03, 1, own});
      const auto rule = params.rule(params.rule_params);
      DecorrelationState state;
      rule->begin(n, RandomStream(1, 1, 0, Purpose::initial_decorrelation), state);
      (settled ? state.M : state.R) = settled ? M0 : R0;
      rule->update({z, z, x, Vector::Ones(n)}, state);
      const Matrix expected = settled ? Matrix((Matrix(I + eta * Q).inverse() * R0).inverse())
                                      : Matrix(R0 - eta * Q * R0);
      CHECK(max_abs((settled ? state.M : state.R) - expected) <= 200 * epsilon);
    }
  }
}

TEST_CASE("foldiak1990 comes to rest at M D M' = C0 with unit leak and diagonal D") {
  const Matrix z = samples_of(mixed(), 64, 3);
  OneStepDecorrelator decorrelator =
      make({"foldiak1990", DecorrelationMode::settled, Demean::none, 0.05}, 4);
  Matrix x;
  for (int t = 0; t < 4000; ++t) {
    x = decorrelator.forward_train(z);
    decorrelator.learn();
  }
  const Matrix C = second_moment(x), M = decorrelator.state().M;
  CHECK(max_abs(off_diagonal(C)) <= (is_double ? 1e-6 : 1e-3));
  CHECK(max_abs(M.diagonal() - Vector::Ones(4)) <= 16 * epsilon);
  CHECK(max_abs(M * C * M.transpose() - mixed()) <= (is_double ? 1e-6 : 1e-3));
  CHECK(max_abs(M - Matrix::Identity(4, 4)) > 0.1);
  // With the diagonal, C = 0 is all that is left: activity dies out, as the paper's figure 3 has
  // it.
  const auto power = [&](int steps) {
    return double(second_moment(converge({"foldiak1990",
                                          DecorrelationMode::settled,
                                          Demean::none,
                                          0.05,
                                          1,
                                          {{"diagonal", 1}}},
                                         z, steps))
                      .trace());
  };
  CHECK(power(4000) < 0.2 * power(100));
  CHECK(power(100) < double(mixed().trace()));
}

TEST_CASE("vogels2011 balances: <x_j (x_i - rho)> is 0 where a synapse is, not above 0 elsewhere") {
  Matrix C = mixed();
  Matrix z = samples_of(C, 64, 4).array() + 2;  // rates
  OneStepDecorrelator decorrelator =
      make({"vogels2011", DecorrelationMode::settled, Demean::none, 0.01, 1, {{"rate", 0.8}}}, 4);
  Matrix x;
  for (int t = 0; t < 6000; ++t) {
    x = decorrelator.forward_train(z);
    decorrelator.learn();
  }
  const Matrix& M = decorrelator.state().M;
  const Matrix drive = (x.array() - s(0.8)).matrix() * x.transpose() / s(64);
  int synapses = 0;
  for (Index i = 0; i < 4; ++i)
    for (Index j = 0; j < 4; ++j) {
      if (i == j) continue;
      CHECK(M(i, j) >= 0);
      CHECK(drive(i, j) <= 1e-3);
      if (M(i, j) <= s(1e-3)) continue;
      ++synapses;
      CHECK(std::abs(drive(i, j)) <= 1e-3);
    }
  CHECK(synapses >= 4);
}

TEST_CASE(
    "oja1989 makes R orthogonal, and its gradient is the subspace rule's, one sample a time") {
  const Matrix z = samples_of(mixed(), 64, 5);
  OneStepDecorrelator decorrelator =
      make({"oja1989", DecorrelationMode::closed_form, Demean::none, 0.05, 0.5}, 4);
  Matrix x;
  x = decorrelator.forward_train(z);
  const Matrix R0 = decorrelator.state().R;
  decorrelator.learn();
  Matrix expected = R0;  // y (x − W'y)' summed sample by sample
  for (Index n = 0; n < 64; ++n) {
    const Vector y = R0 * z.col(n);
    expected += s(0.05 / 64) * y * (z.col(n) - R0.transpose() * y).transpose();
  }
  CHECK(max_abs(decorrelator.state().R - expected) <= 64 * epsilon);
  for (int t = 0; t < 4000; ++t) {
    x = decorrelator.forward_train(z);
    decorrelator.learn();
  }
  const Matrix& R = decorrelator.state().R;
  CHECK(max_abs(R * R.transpose() - Matrix::Identity(4, 4)) <= (is_double ? 1e-6 : 1e-3));
}

TEST_CASE("pehlevan2015 keeps similarities: M^-1 R becomes orthogonal, from whatever scale") {
  const Matrix z = samples_of(mixed(), 16, 6);
  for (const double scale : {0.7, 1.5}) {
    OneStepDecorrelator decorrelator = make({"pehlevan2015",
                                             DecorrelationMode::settled,
                                             Demean::none,
                                             0,
                                             scale,
                                             {{"initial_activity", 1}}},
                                            4);
    Matrix x;
    for (int t = 0; t < 20000; ++t) {
      x = decorrelator.forward_train(z);
      decorrelator.learn();
    }
    const Matrix F = decorrelator.state().M.inverse() * decorrelator.state().R;
    CHECK(max_abs(F * F.transpose() - Matrix::Identity(4, 4)) <= 0.02);
  }
  // What an update must leave alone: any rotation for λ = 0, only principal components for λ > 0.
  const auto moved = [&](const Matrix& F, double lambda) {
    const DecorrelatorParams params = params_for({"pehlevan2015",
                                                  DecorrelationMode::settled,
                                                  Demean::none,
                                                  0,
                                                  1,
                                                  {{"lambda", lambda}, {"initial_activity", 1}}});
    const auto rule = params.rule(params.rule_params);
    DecorrelationState state;
    rule->begin(4, RandomStream(1, 1, 0, Purpose::initial_decorrelation), state);
    const Matrix x = F * z, C = second_moment(x);
    state.M = Matrix(C.diagonal().asDiagonal()).inverse() * C;
    state.R = state.M * F;
    const DecorrelationState before = state;
    rule->update({z, z, x, Vector::Ones(4)}, state);
    return max_abs(state.R - before.R) + max_abs(state.M - before.M);
  };
  const Eigen::SelfAdjointEigenSolver<Matrix> components(mixed());
  const Matrix axes = components.eigenvectors().transpose();
  const Matrix rotation = Eigen::HouseholderQR<Matrix>(normal(4, 4, 8)).householderQ();
  CHECK(moved(rotation, 0) <= 200 * epsilon);
  CHECK(moved(axes, 0) <= 200 * epsilon);
  CHECK(moved(axes, 0.5) <= 200 * epsilon);
  CHECK(moved(rotation, 0.5) > 0.01);
}

TEST_CASE("an update of pehlevan2015 is its formula, synapse by synapse") {
  const Index n = 4;
  const Matrix z = samples_of(mixed(), 16, 6);
  const DecorrelatorParams params = params_for({"pehlevan2015",
                                                DecorrelationMode::settled,
                                                Demean::none,
                                                0,
                                                1,
                                                {{"lambda", 0.5}, {"initial_activity", 3}}});
  const auto rule = params.rule(params.rule_params);
  DecorrelationState state;
  rule->begin(n, RandomStream(1, 1, 0, Purpose::initial_decorrelation), state);
  state.M += s(0.1) * normal(n, n, 2);
  state.M.diagonal().setOnes();
  const DecorrelationState before = state;
  const Matrix x = before.M.inverse() * before.R * z;
  rule->update({z, z, x, Vector::Ones(n)}, state);
  for (Index i = 0; i < n; ++i) {
    const Scalar power = x.row(i).squaredNorm(), D = 3 + power;
    for (Index j = 0; j < n; ++j) {
      const Scalar R = before.R(i, j) + (x.row(i).dot(z.row(j)) - before.R(i, j) * power) / D;
      const Scalar M =
          i == j ? s(1)
                 : before.M(i, j) + (s(1.5) * x.row(i).dot(x.row(j)) - before.M(i, j) * power) / D;
      CHECK(double(state.R(i, j)) == doctest::Approx(double(R)).epsilon(1e-4));
      CHECK(double(state.M(i, j)) == doctest::Approx(double(M)).epsilon(1e-4));
    }
  }
}

TEST_CASE("bell_sejnowski1997 finds the axes of two heavy-tailed sources") {
  const Index b = 4000;
  Matrix sources(2, b);
  const RandomStream random(3, 1, 0, Purpose::generated_data);
  for (Index j = 0; j < b; ++j)
    for (Index i = 0; i < 2; ++i) {
      const double u = random.uniform(static_cast<std::uint64_t>(2 * j + i)) - 0.5;
      sources(i, j) = s(-std::copysign(std::log(1 - 2 * std::abs(u)), u));  // Laplace
    }
  Matrix mix(2, 2);
  mix << s(1), s(0.6), s(-0.4), s(1);
  OneStepDecorrelator decorrelator =
      make({"bell_sejnowski1997", DecorrelationMode::closed_form, Demean::none, 0.02}, 2);
  Matrix x;
  for (int t = 0; t < 1500; ++t) {
    x = decorrelator.forward_train(mix * sources);
    decorrelator.learn();
  }
  // R mix is a permutation with scales: in each row one entry stands out (Amari's index near 0).
  const Matrix found = (decorrelator.state().R * mix).cwiseAbs();
  for (Index i = 0; i < 2; ++i) CHECK(found.row(i).minCoeff() < 0.1 * found.row(i).maxCoeff());
  // The fixed point: <(2y − 1) x'> = I.
  const Matrix y = (x / 2).array().tanh();
  const Matrix plain = x.colwise() + decorrelator.state().threshold;
  CHECK(max_abs(y * plain.transpose() / s(double(b)) - Matrix::Identity(2, 2)) < 0.01);
  CHECK(double(mix.row(0).cwiseAbs().minCoeff()) > 0.5);  // the mixture itself does not
}

TEST_CASE(
    "zylberberg2011 holds the target rate and leaves no covariance that inhibition can take") {
  Matrix C(3, 3);
  C << s(1), s(0.4), s(0.3), s(0.4), s(1), s(0.2), s(0.3), s(0.2), s(1);
  const Matrix z = samples_of(C, 64, 7);
  OneStepDecorrelator decorrelator = make({"zylberberg2011",
                                           DecorrelationMode::settled,
                                           Demean::none,
                                           0.02,
                                           1,
                                           {{"rate", 0.2}, {"homeostasis", 1}, {"forward", 0.01}}},
                                          3);
  Matrix x;
  for (int t = 0; t < 8000; ++t) {
    x = decorrelator.forward_train(z);
    decorrelator.learn();
  }
  const Vector mean = x.rowwise().mean();
  CHECK(max_abs(mean - Vector::Constant(3, s(0.2))) <= 0.01);
  CHECK(max_abs(off_diagonal(second_moment(x.colwise() - mean))) <= 0.01);
}

TEST_CASE("lipshutz2024 with n (n + 1) / 2 interneurons whitens") {
  Matrix C(3, 3);
  C << s(2), s(0.5), s(0.3), s(0.5), s(3), s(-0.4), s(0.3), s(-0.4), s(2.5);
  const Matrix z = samples_of(C, 64, 8);
  const Matrix x = converge({"lipshutz2024",
                             DecorrelationMode::settled,
                             Demean::none,
                             0.05,
                             1,
                             {{"interneurons_per_unit", 2}, {"negative_gain", 1}}},
                            z, 20000);
  CHECK(max_abs(second_moment(x) - Matrix::Identity(3, 3)) <= 0.02);
}

TEST_CASE("the direct rules whiten at once, zca in the axes of the data and pca in its own") {
  const Matrix z = samples_of(mixed(), 64, 9);
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(mixed());
  const double close = 2000 * epsilon;
  for (const char* rule : {"zca", "pca", "prong"}) {
    CAPTURE(rule);
    OneStepDecorrelator decorrelator = make({rule,
                                             DecorrelationMode::closed_form,
                                             Demean::none,
                                             0,
                                             1,
                                             {{"interval", 1}, {"ridge", 1e-9}}},
                                            4);
    Matrix x;
    x = decorrelator.forward_train(z);
    decorrelator.learn();
    x = decorrelator.forward_train(z);
    CHECK(max_abs(second_moment(x) - Matrix::Identity(4, 4)) <= close);
    if (rule == std::string("zca"))
      CHECK(max_abs(decorrelator.state().R - solver.operatorInverseSqrt()) <= close);
    if (rule == std::string("pca"))
      for (Index i = 0; i < 4; ++i)  // the largest first
        CHECK(double(decorrelator.state().R.row(i).norm()) ==
              doctest::Approx(1 / std::sqrt(double(solver.eigenvalues()[3 - i]))).epsilon(1e-3));
  }
  // Frozen, it stays.
  OneStepDecorrelator frozen =
      make({"zca", DecorrelationMode::closed_form, Demean::none, 0, 1, {{"freeze_after", 2}}}, 4);
  train(frozen, 4, 16, 0, 2);
  const Matrix R = frozen.state().R;
  train(frozen, 4, 16, 2, 9);
  CHECK(same_bits(frozen.state().R, R));
}

TEST_CASE("prong and gwnn change R and leave what the layer computes") {
  for (const char* rule : {"prong", "gwnn"}) {
    CAPTURE(rule);
    LayerParams params;
    params.input = {6, 1, 1};
    params.units = 5;
    params.classes = 5;
    params.is_output = true;
    params.activation = find_entry(activation_table(), "identity");
    params.credit = find_entry(credit_table(), "backpropagation");
    params.preconditioner = find_entry(preconditioner_table(), "none");
    params.optimizer = find_entry(optimizer_table(), "sgd");
    params.optimizer_params.learning_rate = 0;
    params.decorrelator =
        params_for({rule, DecorrelationMode::closed_form, Demean::none, 0, 1, {{"interval", 3}}});
    OneStepLayer layer{params};
    const Matrix probe = correlated(6, 9, 3);
    const Matrix before = layer.evaluate(probe);
    Matrix first_R;
    for (std::uint64_t step = 1; step <= 7; ++step) {
      layer.forward(correlated(6, 32, 4, step), step);
      layer.receive(normal(5, 32, 5, step));
      layer.learn();
    }
    CHECK(max_abs(layer.evaluate(probe) - before) <= 2000 * epsilon);
    State state = save(layer);
    double moved = 0;
    for (const auto& [name, value] : state)
      if (name == "decorrelation/R") moved = max_abs(value - Matrix::Identity(6, 6));
    CHECK(moved > 0.1);
  }
}

TEST_CASE("the batch whiteners whiten, and their error is that of finite differences") {
  const Index n = 6, b = 24;
  for (const char* rule : {"decorrelated_batch_normalization", "iterative_normalization"})
    for (const double group : {0.0, 4.0}) {
      CAPTURE(rule);
      CAPTURE(group);
      std::map<std::string, double> own{{"group_size", group}, {"ridge", 1e-3}};
      OneStepDecorrelator decorrelator =
          make({rule, DecorrelationMode::closed_form, Demean::batch, 0, 1, own}, n);
      const Matrix z = correlated(n, b, 3);
      const Matrix G = normal(n, b, 4);
      Matrix x, back;
      x = decorrelator.forward_train(z);
      back = decorrelator.backward(G);
      const Matrix C = second_moment(x);
      const Index whole = group == 0 ? n : 4;
      const Matrix first = C.topLeftCorner(whole, whole);
      const bool exact = rule == std::string("decorrelated_batch_normalization");
      CHECK(max_abs(first - Matrix::Identity(whole, whole)) <= (exact ? 0.02 : 0.3));
      if (!is_double) continue;
      const double h = 1e-6;
      for (const auto& [i, j] : {std::pair<Index, Index>{0, 0}, {2, 5}, {5, 23}}) {
        const auto loss = [&](double shift) {
          Matrix moved = z, out;
          moved(i, j) += s(shift);
          out = decorrelator.forward_train(moved);
          return double(out.cwiseProduct(G).sum());
        };
        CHECK(double(back(i, j)) == doctest::Approx((loss(h) - loss(-h)) / (2 * h)).epsilon(1e-5));
      }
    }
  // Newton's iterations go to the inverse root.
  const Matrix z = samples_of(mixed(), 64, 5);
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(mixed());
  const auto rule = find_entry(decorrelation_table(), "iterative_normalization")(
      {.own = RuleParameters({{"iterations", 12}, {"group_size", 0}, {"ridge", 0}})});
  DecorrelationState state;
  rule->begin(4, RandomStream(1, 1, 0, Purpose::initial_decorrelation), state);
  CHECK(max_abs(*rule->batch_matrix(z, plain_compute()) - solver.operatorInverseSqrt()) <=
        (is_double ? 1e-10 : 1e-3));
}

TEST_CASE(
    "speed does not depend on the scale of the start for ahmad2024, and does for the others") {
  // rules of the paper's figure 3: updates until the largest correlation has halved.
  const Matrix z = samples_of(mixed(), 64, 11);
  const auto updates = [&](const char* rule, DecorrelationMode mode, double scale) {
    OneStepDecorrelator decorrelator = make({rule, mode, Demean::none, 0.01, scale}, 4);
    Matrix x;
    double start = 0;
    for (int t = 0; t < 3000; ++t) {
      x = decorrelator.forward_train(z);
      const Matrix C = second_moment(x);
      const Vector sd = C.diagonal().cwiseSqrt().cwiseInverse();
      const double left = max_abs(off_diagonal(sd.asDiagonal() * C * sd.asDiagonal()));
      if (t == 0) start = left;
      if (left <= start / 2) return t;
      decorrelator.learn();
    }
    return 3000;
  };
  const auto settled = DecorrelationMode::settled;
  CHECK(updates("ahmad2024", settled, 0.3) <= 1.5 * updates("ahmad2024", settled, 1) + 2);
  CHECK(updates("ahmad2022", settled, 0.3) >= 4 * updates("ahmad2022", settled, 1));
  CHECK(updates("foldiak1990", settled, 0.3) >= 8 * updates("foldiak1990", settled, 1));
}
