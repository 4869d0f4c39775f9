// The kernels of R and M against their definitions, against each other, and over many updates.
#include "core/decorrelation/matrix_update.hpp"

#include <Eigen/Eigenvalues>
#include <Eigen/LU>

#include "core/decorrelation/rule.hpp"
#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

namespace {

struct Case {
  Matrix R, M, X;
  Vector gain;
  double tolerance;  // of any entry
};

/// R well away from I, its inverse, samples and a gain a unit.
Case make_case(Index n, Index samples, std::uint64_t seed) {
  Case c;
  c.R = symmetric(n, 0.5, 2, seed) + s(0.1) * normal(n, n, seed + 1) / std::sqrt(s(double(n)));
  c.M = c.R.inverse();
  c.X = normal(n, samples, seed + 2);
  c.gain = (1 + s(0.3) * normal(n, 1, seed + 3).array().tanh()).matrix();
  // Sums of n products, on entries of M, R and X that are a few at most.
  c.tolerance = 64 * static_cast<double>(n + samples) * epsilon;
  return c;
}

template <class F>
void for_cases(F f) {
  for (const Index n : {1, 2, 5, 33, 70})
    for (const Index samples : {1, 2, 5, 26}) {
      CAPTURE(n);
      CAPTURE(samples);
      f(make_case(n, samples, static_cast<std::uint64_t>(100 * n + samples)),
        s(0.3 / static_cast<double>(n + samples)));
    }
}

double distance_to_identity(const Matrix& product) {
  return max_abs(product - Matrix::Identity(product.rows(), product.cols()));
}

}  // namespace

TEST_CASE("the fast updates of R are their definitions") {
  UpdateWorkspace work;
  for_cases([&](const Case& c, Scalar eta) {
    Matrix R = c.R;
    update_inverse_exact(R, c.X, eta, c.gain, work);
    CHECK(max_abs(R - update_inverse_exact_reference(c.R, c.X, eta, c.gain)) <= c.tolerance);
    R = c.R;
    update_inverse_implicit(R, c.X, 10 * eta, c.gain, work);
    CHECK(max_abs(R - update_inverse_implicit_reference(c.R, c.X, 10 * eta, c.gain)) <=
          c.tolerance);
  });
}

TEST_CASE("the updates of M are the inverses of those of R") {
  UpdateWorkspace work;
  for_cases([&](const Case& c, Scalar eta) {
    const Matrix U = c.M * c.X;
    REQUIRE_FALSE(guard_rate(c.X, eta, work).shortened);
    Matrix M = c.M;
    update_lateral_woodbury(M, U, c.X, eta, c.gain, work);
    CHECK(distance_to_identity(M * update_inverse_exact_reference(c.R, c.X, eta, c.gain)) <=
          4 * c.tolerance);
    M = c.M;
    update_lateral_implicit(M, U, c.X, 10 * eta, c.gain);
    CHECK(distance_to_identity(M * update_inverse_implicit_reference(c.R, c.X, 10 * eta, c.gain)) <=
          16 * c.tolerance);
    if (c.X.cols() > 1) return;
    M = c.M;
    update_lateral_sherman_morrison(M, U.col(0), c.X.col(0), eta, c.gain);
    CHECK(distance_to_identity(M * update_inverse_exact_reference(c.R, c.X, eta, c.gain)) <=
          4 * c.tolerance);
    Matrix woodbury = c.M;
    update_lateral_woodbury(woodbury, U, c.X, eta, c.gain, work);
    CHECK(max_abs(M - woodbury) <= 4 * c.tolerance);
  });
}

TEST_CASE("the implicit update agrees with the exact one to second order in the rate") {
  const Case c = make_case(9, 4, 5);
  UpdateWorkspace work;
  const auto apart = [&](double eta) {
    Matrix a = c.R, b = c.R;
    update_inverse_exact(a, c.X, s(eta), c.gain, work);
    update_inverse_implicit(b, c.X, s(eta), c.gain, work);
    return max_abs(a - b);
  };
  CHECK(apart(0.04) / apart(0.02) == doctest::Approx(4).epsilon(0.15));
}

TEST_CASE("the guard shortens a rate that would make M singular, and only such a rate") {
  UpdateWorkspace work;
  for (const Index samples : {1, 3, 26})
    for (const double factor : {0.5, 0.98, 1.02, 50.0}) {
      CAPTURE(samples);
      CAPTURE(factor);
      const Index n = 12;
      const Matrix X = normal(n, samples, 4);
      const Matrix gram = X.transpose() * X / static_cast<Scalar>(samples);
      const double largest =
          static_cast<double>(Eigen::SelfAdjointEigenSolver<Matrix>(gram).eigenvalues().maxCoeff());
      const double limit = (1 - double(denominator_min)) / largest;
      const GuardedRate rate = guard_rate(X, s(factor * limit), work);
      CHECK(rate.shortened == (factor > 1));
      CHECK(static_cast<double>(rate.eta) ==
            doctest::Approx(std::min(1.0, factor) * limit).epsilon(1e-5));
      Matrix M = Matrix::Identity(n, n);
      update_lateral_woodbury(M, X, X, rate.eta, Vector::Ones(n), work);
      CHECK(M.allFinite());
      CHECK(M.determinant() > 0);
      CHECK(max_abs(M) <= 1.1 / double(denominator_min));
    }
}

TEST_CASE("the guard takes no rate from samples that are not finite") {
  UpdateWorkspace work;
  Matrix X = normal(4, 3, 1);
  X(1, 1) = std::numeric_limits<Scalar>::infinity();
  CHECK(guard_rate(X, s(0.1), work).shortened);
  CHECK(guard_rate(X, s(0.1), work).eta == 0);
  X(1, 1) = std::numeric_limits<Scalar>::quiet_NaN();
  CHECK(guard_rate(X, s(0.1), work).shortened);
}

namespace {

/// max |M R − I| after training both with the same samples x = R z.
double drift(Index n, Index samples, int updates, double eta, MatrixUpdate update) {
  DecorrelationParams params;
  params.learning_rate = s(eta);
  params.update = update;
  const auto rule = find_entry(decorrelation_table(), "ahmad2024")(params);
  const Matrix mix = Matrix::Identity(n, n) + s(0.7) / std::sqrt(s(double(n))) * normal(n, n, 3);
  const Vector active = Vector::Ones(n);
  DecorrelationState inverse{Matrix::Identity(n, n), {}, {}}, lateral{{}, inverse.R, {}};
  Matrix &R = inverse.R, &M = lateral.M;
  for (int t = 0; t < updates; ++t) {
    const Matrix z = mix * normal(n, samples, 4, static_cast<std::uint64_t>(t));
    const Matrix x = R * z;
    const Matrix drive = update == MatrixUpdate::implicit ? Matrix(M * x) : z;
    rule->update({z, z, x, active}, inverse);
    const DecorrelationUpdate result = rule->update({z, drive, x, active}, lateral);
    REQUIRE_FALSE(result.shortened);
  }
  // The rule has done something: a factor like that comes from no rounding.
  REQUIRE(distance_to_identity(R) > 0.05);
  return distance_to_identity(M * R);
}

}  // namespace

TEST_CASE("M R stays the identity over a thousand updates of 256 units" *
          doctest::skip(!is_double)) {
  CHECK(drift(256, 26, 1000, 1e-3, MatrixUpdate::exact) <= 1e-10);
  CHECK(drift(256, 1, 1000, 5e-4, MatrixUpdate::exact) <= 1e-10);
}

TEST_CASE("the drift of M R from the identity over twenty thousand updates is small") {
  for (const MatrixUpdate update : {MatrixUpdate::exact, MatrixUpdate::implicit}) {
    const double found = drift(64, 1, 20000, 1e-4, update);
    MESSAGE("max |M R - I| after 20 000 updates of 64 units, epsilon " << epsilon << ": " << found);
    // Errors of one rounding an update that happened all to add up would give 20 000 epsilon.
    CHECK(found <= 20000 * epsilon);
  }
}

TEST_CASE("the eigenvalues of the second moment fall as lam0 / (1 + 2 eta lam0 t)") {
  const Index n = 6;
  Vector lam0(n);
  lam0 << s(0.1), s(0.5), 1, 2, 5, 10;
  // Samples along the axes whose mean of z zᵀ is diag(lam0).
  const Matrix z = (s(double(n)) * lam0).cwiseSqrt().asDiagonal();
  const double eta = 1e-4;
  UpdateWorkspace work;
  Matrix R = Matrix::Identity(n, n);
  const int updates = 4000;
  for (int t = 0; t < updates; ++t) update_inverse_exact(R, R * z, s(eta), Vector::Ones(n), work);
  const Matrix x = R * z;
  for (Index i = 0; i < n; ++i) {
    const double lam = static_cast<double>(x.row(i).squaredNorm()) / static_cast<double>(n);
    const double start = static_cast<double>(lam0[i]);
    CHECK(lam == doctest::Approx(start / (1 + 2 * eta * start * updates)).epsilon(2e-3));
  }
}

namespace {

DecorrelationUpdate update_with(Gain gain, GainReference reference, const Matrix& z,
                                const Matrix& zc, const Matrix& x, const Vector& active,
                                Matrix& R) {
  DecorrelationParams params;
  params.learning_rate = 0;
  params.gain = gain;
  params.gain_reference = reference;
  DecorrelationState state{R, {}, {}};
  const DecorrelationUpdate update =
      find_entry(decorrelation_table(), "ahmad2024")(params)->update({z, zc, x, active}, state);
  R = state.R;
  return update;
}

}  // namespace

TEST_CASE("each gain is its formula") {
  const Index n = 5, samples = 4;
  const Matrix z = normal(n, samples, 1).array() + 1;
  const Matrix zc = normal(n, samples, 2);
  Matrix x = 2 * normal(n, samples, 3);
  x.row(3).setZero();  // silent
  Vector active = Vector::Ones(n);
  active[1] = 0;  // frozen
  for (const GainReference reference : {GainReference::raw, GainReference::centred}) {
    const Matrix& from = reference == GainReference::raw ? z : zc;
    Matrix R = Matrix::Identity(n, n);
    double g = 0;
    for (Index j = 0; j < samples; ++j)
      g += double(from.col(j).norm()) / std::sqrt(double(x.col(j).squaredNorm()) + 1e-8) / samples;
    CHECK(update_with(Gain::norm_ratio, reference, z, zc, x, active, R).gain ==
          doctest::Approx(g).epsilon(1e-6));
    for (Index i = 0; i < n; ++i)
      CHECK(double(R(i, i)) == doctest::Approx(i == 1 ? 1.0 : g).epsilon(1e-6));

    R.setIdentity();
    update_with(Gain::per_unit, reference, z, zc, x, active, R);
    for (Index i = 0; i < n; ++i)
      CHECK(double(R(i, i)) ==
            doctest::Approx(i == 1 || i == 3 ? 1.0 : double(from.row(i).norm() / x.row(i).norm()))
                .epsilon(1e-6));

    R.setIdentity();
    CHECK(update_with(Gain::none, reference, z, zc, x, active, R).gain == 1);
    CHECK(same_bits(R, Matrix::Identity(n, n)));
  }
}

TEST_CASE("a batch of nothing but zeros changes nothing") {
  const Matrix zero = Matrix::Zero(4, 3);
  for (const Gain gain : {Gain::norm_ratio, Gain::per_unit, Gain::none}) {
    Matrix R = symmetric(4, 1, 2, 3);
    const Matrix before = R;
    CHECK(update_with(gain, GainReference::raw, zero, zero, zero, Vector::Ones(4), R).gain == 1);
    CHECK(same_bits(R, before));
  }
}

TEST_CASE("the fixed points: white up to a scale with one gain, variances kept with one a unit") {
  const Index n = 4, samples = 64;
  Matrix z = correlated(n, samples, 7);
  z.colwise() -= Vector(z.rowwise().mean());
  z.row(2) *= 2;
  for (const Gain gain : {Gain::norm_ratio, Gain::per_unit}) {
    DecorrelationParams params;
    params.gain = gain;
    params.learning_rate = s(0.02);
    const auto rule = find_entry(decorrelation_table(), "ahmad2024")(params);
    DecorrelationState state{Matrix::Identity(n, n), {}, {}};
    const Matrix& R = state.R;
    for (int t = 0; t < 4000; ++t) {
      const Matrix x = R * z;
      rule->update({z, z, x, Vector::Ones(n)}, state);
    }
    const Matrix C = R * z * (R * z).transpose() / s(double(samples));
    const Matrix C0 = z * z.transpose() / s(double(samples));
    // One gain: (I - eta C) g = I. One a unit: (1 - eta C_ii) g_i = 1 with g_i = sqrt(C0_ii /
    // C_ii), which is C_ii = C0_ii up to a factor 1 - 2 eta C0_ii.
    Vector variances = Vector::Constant(n, C.diagonal().mean());
    if (gain == Gain::per_unit)
      for (int i = 0; i < 200; ++i)
        variances = C0.diagonal().array() * (1 - s(0.02) * variances.array()).square();
    const Matrix off = C - Matrix(variances.asDiagonal());
    CHECK(max_abs(off) <= 1e-3 * double(variances.maxCoeff()));
  }
}

TEST_CASE("an update that rides on a product gives the bits of both one after the other") {
  for (const Index n : {1, 2, 3, 4, 5, 8, 31, 130}) {
    CAPTURE(n);
    const Matrix start = Matrix::Identity(n, n) + s(0.1) * normal(n, n, 1);
    const RankOneUpdate update{normal(n, 1, 2), normal(n, 1, 3).cwiseAbs(), s(0.01), true};
    const Vector v = normal(n, 1, 4);
    Matrix fused = start, apart = start;
    Vector out_fused(n), out_apart(n), none;
    update_and_multiply(fused, &update, v, out_fused);
    update_and_multiply(apart, &update, Vector(), none);
    update_and_multiply(apart, nullptr, v, out_apart);
    CHECK(same_bits(fused, apart));
    CHECK(same_bits(Matrix(out_fused), Matrix(out_apart)));
    const Matrix expected =
        update_inverse_exact_reference(start, update.x, update.eta, update.gain);
    CHECK(max_abs(fused - expected) < 100 * epsilon);
    CHECK(max_abs(out_fused - expected * v) < 200 * epsilon * std::sqrt(static_cast<double>(n)));
  }
}
