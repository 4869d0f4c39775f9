// Settling: every integrator reaches the fixed point, and says so when it does not.
#include "core/dynamics/settle.hpp"

#include <algorithm>

#include "core/dynamics/spectrum.hpp"
#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

namespace {

const double tight = is_double ? 1e-11 : 1e-5;

double residual(const LateralOperator& M, const Matrix& z, const Matrix& x) {
  Matrix r = z;
  M.add_product(-1, x, r);
  double worst = 0;
  for (Index j = 0; j < z.cols(); ++j)
    if (z.col(j).norm() > 0)
      worst = std::max(worst, static_cast<double>(r.col(j).norm() / z.col(j).norm()));
  return worst;
}

}  // namespace

TEST_CASE("every integrator settles on the closed form" * doctest::test_suite("contract")) {
  for (const auto& entry : integrator_table())
    for (const Index n : {1, 2, 7, 33})
      for (const bool transposed : {false, true})
        for (const bool from_answer : {false, true}) {
          CAPTURE(entry.name);
          CAPTURE(n);
          CAPTURE(transposed);
          CAPTURE(from_answer);
          const auto integrator = entry.make();
          // Slightly asymmetric, as the updates leave it.
          const Matrix matrix =
              symmetric(n, 0.5, 4, 3) + s(0.02) * normal(n, n, 4) / std::sqrt(s(double(n)));
          const LateralOperator M{matrix, transposed};
          Matrix z = normal(n, 6, 5);
          z.col(2).setZero();
          Matrix x = from_answer ? normal(n, 6, 6) : Matrix::Zero(n, 6);
          SettleWorkspace workspace;
          SettleParams params;
          params.tolerance = s(tight);
          const Settled settled = settle(params, *integrator, {s(0.4), s(4.2)}, M, z, x, workspace);
          CHECK(settled.converged);
          CHECK(settled.residual <= tight);
          CHECK(residual(M, z, x) <= tight + 16 * double(n) * epsilon * 10);
          const Matrix expected = settle_reference(M, z);
          // ‖x − x*‖ ≤ ‖M⁻¹‖ ‖z − M x‖, for the batch.
          CHECK(double((x - expected).norm()) <= 2 * (tight + 64 * epsilon) / 0.4 * z.norm());
          CHECK(x.col(2).isZero(0));
        }
}

TEST_CASE("settling is exact in one step at M = I with step 1, and needs none from the answer") {
  const auto euler = find_entry(integrator_table(), "euler")();
  const Matrix identity = Matrix::Identity(5, 5);
  const Matrix z = normal(5, 3, 1);
  Matrix x = Matrix::Zero(5, 3);
  SettleWorkspace workspace;
  SettleParams params;
  params.step = 1;
  Settled settled = settle(params, *euler, {1, 1}, {identity, false}, z, x, workspace);
  CHECK(settled.converged);
  CHECK(settled.steps == 1);
  settled = settle(params, *euler, {1, 1}, {identity, false}, z, x, workspace);
  CHECK(settled.steps == 0);
  CHECK(same_bits(x, z));
}

TEST_CASE("Euler converges below 2 / λ_max and reports that it did not above") {
  const auto euler = find_entry(integrator_table(), "euler")();
  const Matrix matrix = symmetric(12, 1, 5, 2);
  const Matrix z = normal(12, 4, 3);
  SettleWorkspace workspace;
  for (const double factor : {0.97, 1.03, 30.0}) {
    CAPTURE(factor);
    SettleParams params;
    params.step = s(factor * 2 / 5);
    Matrix x = Matrix::Zero(12, 4);
    const Settled settled =
        settle(params, *euler, {s(0.9), s(5.2)}, {matrix, false}, z, x, workspace);
    CHECK(settled.converged == (factor < 1));
    CHECK((settled.residual <= 1e-4) == (factor < 1));
    if (factor > 1) CHECK(settled.steps <= params.max_steps);
    CHECK(settled.mean_steps <= settled.steps);
  }
}

TEST_CASE("a sample that has settled leaves, and those that stay are not disturbed" *
          doctest::test_suite("contract")) {
  for (const auto& entry : integrator_table()) {
    CAPTURE(entry.name);
    const auto integrator = entry.make();
    const Index n = 9;
    const Matrix matrix = symmetric(n, 0.2, 4, 2);
    const LateralOperator M{matrix, false};
    const Matrix z = normal(n, 8, 3);
    const Matrix answer = settle_reference(M, z);
    Matrix x = Matrix::Zero(n, 8);
    for (const Index j : {0, 3, 4, 7}) x.col(j) = answer.col(j);
    x.col(5) = answer.col(5) * s(1.001);
    SettleWorkspace workspace;
    const Settled settled = settle({}, *integrator, {s(0.19), s(4.2)}, M, z, x, workspace);
    CHECK(settled.converged);
    CHECK(settled.steps > 3);
    CHECK(settled.mean_steps <= 0.5 * settled.steps);
    CHECK(residual(M, z, x) <= 1.1e-4);
    for (const Index j : {0, 3, 4, 7}) CHECK(same_bits(x.col(j), answer.col(j)));
  }
}

TEST_CASE("a sample takes the same path alone and among others that leave before it" *
          doctest::test_suite("contract")) {
  for (const auto& entry : integrator_table()) {
    CAPTURE(entry.name);
    const auto integrator = entry.make();
    const Index n = 9, b = 12;
    const Matrix matrix = symmetric(n, 0.05, 4, 2);
    const LateralOperator M{matrix, false};
    Matrix z = normal(n, b, 3);
    // Some samples are made of the fast directions, and settle early.
    for (Index j = 0; j < b; j += 2) z.col(j) = matrix * (matrix * (matrix * z.col(j)));
    SettleParams params;
    params.tolerance = s(1e-3);
    SettleWorkspace workspace;
    Matrix together = Matrix::Zero(n, b);
    const Settled all = settle(params, *integrator, {s(0.05), s(4)}, M, z, together, workspace);
    CHECK(all.mean_steps < all.steps);
    double steps = 0;
    for (Index j = 0; j < b; ++j) {
      Matrix alone = Matrix::Zero(n, 1);
      steps += settle(params, *integrator, {s(0.05), s(4)}, M, z.col(j), alone, workspace).steps;
      // Only the rounding of products of different widths differs, and settling damps it; in single
      // precision it may now and then decide whether a residual is just below the tolerance.
      const double allowed = is_double ? 1000 * epsilon : 0.05;
      CHECK(max_abs(alone - together.col(j)) <= allowed * max_abs(alone));
    }
    CHECK(all.mean_steps == doctest::Approx(steps / double(b)).epsilon(is_double ? 1e-9 : 0.02));
  }
}

namespace {

/// x after so many steps from zero, whatever the tolerance.
Matrix after_steps(const char* integrator, const Matrix& matrix, const Matrix& z,
                   SpectrumBound bound, double h, int steps) {
  SettleParams params;
  params.step = s(h);
  params.max_steps = steps;
  params.tolerance = 0;
  SettleWorkspace workspace;
  Matrix x = Matrix::Zero(z.rows(), z.cols());
  settle(params, *find_entry(integrator_table(), integrator)(), bound, {matrix, false}, z, x,
         workspace);
  return x;
}

}  // namespace

TEST_CASE("one step of each integrator is its formula") {
  const Index n = 6;
  const double h = 0.3;
  const Matrix M = symmetric(n, 0.5, 3, 1) + s(0.05) * normal(n, n, 2);
  const Matrix z = normal(n, 4, 3);
  const double allowed = 64 * double(n) * epsilon;
  CHECK(max_abs(after_steps("euler", M, z, {1, 1}, h, 1) - s(h) * z) <= allowed);
  // Runge–Kutta: the series of M⁻¹ (I − exp(−h M)) up to h⁴.
  const Matrix Mz = M * z, MMz = M * Mz, MMMz = M * MMz;
  const Matrix series =
      s(h) * z - s(h * h / 2) * Mz + s(h * h * h / 6) * MMz - s(h * h * h * h / 24) * MMMz;
  CHECK(max_abs(after_steps("runge_kutta4", M, z, {1, 1}, h, 1) - series) <= allowed);
  // Exponential Euler is exact where the units are not coupled.
  const Matrix leak = Matrix(M.diagonal().asDiagonal());
  Matrix exact = z;
  for (Index i = 0; i < n; ++i) exact.row(i) *= s(-std::expm1(-h * double(M(i, i)))) / M(i, i);
  CHECK(max_abs(after_steps("exponential_euler", leak, z, {1, 1}, h, 1) - exact) <= allowed);
}

TEST_CASE("Chebyshev's residual is the Chebyshev polynomial of the spectrum") {
  const Index n = 7;
  Vector lambda(n);
  for (Index i = 0; i < n; ++i) lambda[i] = s(0.5 + 0.5 * double(i));
  const Matrix M = lambda.asDiagonal();
  const double centre = 2, half = 1.5;
  for (const int k : {1, 2, 3, 6}) {
    CAPTURE(k);
    const Matrix x = after_steps("chebyshev", M, Matrix::Ones(n, 1), {s(0.5), s(3.5)}, 0, k);
    const double scale = std::cosh(k * std::acosh(centre / half));
    for (Index i = 0; i < n; ++i) {
      const double at = std::clamp((centre - double(lambda[i])) / half, -1.0, 1.0);
      const double residual = 1 - double(lambda[i] * x(i));
      CHECK(std::abs(residual - std::cos(k * std::acos(at)) / scale) <= 64 * epsilon);
    }
  }
}

TEST_CASE("too few steps are reported as not converged, with the residual that was left") {
  const auto euler = find_entry(integrator_table(), "euler")();
  const Matrix matrix = symmetric(9, 0.05, 4, 2);
  const LateralOperator M{matrix, false};
  const Matrix z = normal(9, 3, 3);
  Matrix x = Matrix::Zero(9, 3);
  SettleWorkspace workspace;
  SettleParams params;
  params.max_steps = 5;
  const Settled settled = settle(params, *euler, {s(0.05), s(4.2)}, M, z, x, workspace);
  CHECK_FALSE(settled.converged);
  CHECK(settled.steps == 5);
  CHECK(settled.mean_steps == 5);
  CHECK(settled.residual == doctest::Approx(residual(M, z, x)).epsilon(1e-3));
}

TEST_CASE("a bound that underestimates the spectrum is widened until the dynamics settle" *
          doctest::test_suite("contract")) {
  for (const auto& entry : integrator_table()) {
    CAPTURE(entry.name);
    const auto integrator = entry.make();
    const Matrix matrix = symmetric(15, 0.5, 9, 2);
    const LateralOperator M{matrix, false};
    const Matrix z = normal(15, 5, 3);
    Matrix x = Matrix::Zero(15, 5);
    SettleWorkspace workspace;
    const Settled settled = settle({}, *integrator, {s(0.9), s(1.05)}, M, z, x, workspace);
    CHECK(settled.converged);
    CHECK(residual(M, z, x) <= 1.1e-4);
  }
}

TEST_CASE("a drive that is not finite stops the settling") {
  for (const auto& entry : integrator_table()) {
    CAPTURE(entry.name);
    const auto integrator = entry.make();
    Matrix z = normal(4, 3, 3);
    z(1, 1) = std::numeric_limits<Scalar>::quiet_NaN();
    Matrix x = Matrix::Zero(4, 3);
    const Matrix matrix = symmetric(4, 1, 2, 1);
    SettleWorkspace workspace;
    const Settled settled = settle({}, *integrator, {1, 2}, {matrix, false}, z, x, workspace);
    CHECK_FALSE(settled.converged);
    CHECK(settled.steps <= 1);
    CHECK_FALSE(std::isfinite(settled.residual));
  }
}

TEST_CASE("Chebyshev needs far fewer steps than Euler where the spectrum is wide") {
  const Matrix matrix = symmetric(20, 0.04, 4, 2);
  const Matrix z = normal(20, 5, 3);
  SettleWorkspace workspace;
  const auto steps = [&](const char* name) {
    Matrix x = Matrix::Zero(20, 5);
    const auto integrator = find_entry(integrator_table(), name)();
    return settle({}, *integrator, {s(0.04), s(4)}, {matrix, false}, z, x, workspace).steps;
  };
  CHECK(4 * steps("chebyshev") < steps("euler"));
}

TEST_CASE("a Gauss-Seidel round is one unit after the other, on what the others are by then") {
  const Index n = 7;
  const Matrix matrix = symmetric(n, 0.5, 3, 2) + s(0.1) * normal(n, n, 4);
  const Vector z = normal(n, 1, 3);
  for (const bool transposed : {false, true}) {
    CAPTURE(transposed);
    const Matrix M = transposed ? Matrix(matrix.transpose()) : matrix;
    Vector expected = normal(n, 1, 5);
    Matrix x = expected;
    for (Index i = 0; i < n; ++i) expected[i] += (z[i] - M.row(i).dot(expected)) / M(i, i);
    SettleParams params;
    params.max_steps = 1;
    params.tolerance = s(1e-12);
    SettleWorkspace workspace;
    settle(params, *find_entry(integrator_table(), "gauss_seidel")(), {1, 2}, {matrix, transposed},
           z, x, workspace);
    CHECK(max_abs(x - expected) <= 32 * epsilon);
  }
}

TEST_CASE("Gauss-Seidel settles where all units at once run away") {
  // Unit diagonal, three mutual couplings of 0.9: positive definite, but 2 D - M is not.
  const Matrix matrix = Matrix::Constant(3, 3, s(0.9)) + s(0.1) * Matrix::Identity(3, 3);
  const Vector z = normal(3, 1, 3);
  SettleWorkspace workspace;
  SettleParams params;
  Matrix x = Matrix::Zero(3, 1);
  CHECK(settle(params, *find_entry(integrator_table(), "gauss_seidel")(), {s(0.1), s(2.8)},
               {matrix, false}, z, x, workspace)
            .converged);
  params.step = 1;  // Jacobi: the whole step of all units, as the diagonal is 1
  x.setZero();
  CHECK_FALSE(settle(params, *find_entry(integrator_table(), "euler")(), {s(0.1), s(2.8)},
                     {matrix, false}, z, x, workspace)
                  .converged);
}

TEST_CASE("the same settling gives the same bits, whatever the workspace held before" *
          doctest::test_suite("contract")) {
  for (const auto& entry : integrator_table()) {
    CAPTURE(entry.name);
    const auto integrator = entry.make();
    const Matrix matrix = symmetric(11, 0.3, 3, 2);
    const Matrix z = normal(11, 7, 3);
    SettleWorkspace workspace;
    Matrix first = Matrix::Zero(11, 7), second = Matrix::Zero(11, 7);
    settle({}, *integrator, {s(0.3), s(3)}, {matrix, false}, z, first, workspace);
    Matrix other = Matrix::Zero(11, 9);
    settle({}, *integrator, {s(0.3), s(3)}, {matrix, true}, normal(11, 9, 5), other, workspace);
    settle({}, *integrator, {s(0.3), s(3)}, {matrix, false}, z, second, workspace);
    CHECK(same_bits(first, second));
  }
}

TEST_CASE("the tracked bound closes in on the spectrum and contains it") {
  for (const Index n : {1, 2, 5}) {
    CAPTURE(n);
    const Matrix M = symmetric(n, 0.5, 4, 2);
    SpectrumTracker tracker(n, RandomStream(1, 0, 0, Purpose::spectrum));
    tracker.refresh(M);
    for (int i = 0; i < 200; ++i) tracker.track(M, Vector());
    const double smallest = n == 1 ? 4 : 0.5;
    CHECK(tracker.bound().largest >= s(4));
    CHECK(tracker.bound().largest <= s(4 * 1.06));
    CHECK(tracker.bound().smallest <= s(smallest));
    CHECK(tracker.bound().smallest >= s(smallest * 0.85));
  }
}

TEST_CASE("a direction in which M suddenly grows is seen at once by an input that has some of it") {
  for (const Index n : {20, 400}) {
    CAPTURE(n);
    const Matrix start = Matrix::Identity(n, n);
    SpectrumTracker tracker(n, RandomStream(1, 0, 0, Purpose::spectrum));
    tracker.refresh(start);
    const Vector direction = normal(n, 1, 3).col(0).normalized();
    const Vector input = direction + s(1.5) * normal(n, 1, 4).col(0).normalized();
    const Matrix grown = start + s(0.8) * direction * direction.transpose();
    tracker.track(grown, -input);
    CHECK(tracker.bound().largest >= s(1.8));
    CHECK(tracker.bound().largest <= s(1.8 * 1.06));
  }
}

TEST_CASE("a tracker declares the tensors that it keeps") {
  for (const Index n : {1, 7}) {
    SpectrumTracker tracker(n, RandomStream(1, 0, 0, Purpose::spectrum));
    const auto visited = visited_tensors(
        [&](const TensorVisitor& visit) { tracker.visit_state("decorrelation/", visit); });
    CHECK(describe(visited) == describe(SpectrumTracker::tensors("decorrelation/", n)));
  }
}

TEST_CASE("a tracker goes on from its vectors with the same bits") {
  const Index n = 8;
  SpectrumTracker first(n, RandomStream(1, 0, 0, Purpose::spectrum));
  SpectrumTracker second(n, RandomStream(2, 0, 0, Purpose::spectrum));
  const auto M = [&](int t) { return symmetric(n, 0.5, 3 + 0.01 * t, 4); };
  first.refresh(M(0));
  for (int t = 1; t < 6; ++t) first.track(M(t), Vector());
  Matrix vectors;
  first.visit_state("", [&](const TensorView& view) {
    vectors = Eigen::Map<Matrix>(view.data, view.rows, view.cols);
  });
  second.visit_state("", [&](const TensorView& view) {
    Eigen::Map<Matrix>(view.data, view.rows, view.cols) = vectors;
  });
  second.refresh(M(5));
  for (int t = 6; t < 9; ++t) {
    CHECK(first.bound().largest == second.bound().largest);
    CHECK(first.bound().smallest == second.bound().smallest);
    first.track(M(t), Vector());
    second.track(M(t), Vector());
  }
}

TEST_CASE("an observer sees every sample from its start to its answer and changes no bit") {
  for (const auto& entry : integrator_table()) {
    CAPTURE(entry.name);
    const Index n = 9, b = 5;
    const Matrix matrix = symmetric(n, 0.5, 4, 3);
    const LateralOperator M{matrix, false};
    Matrix z = normal(n, b, 5);
    z.col(3).setZero();
    SettleWorkspace workspace;
    Matrix alone = Matrix::Zero(n, b), watched = Matrix::Zero(n, b);
    const Settled without = settle({}, *entry.make(), {s(0.4), s(4.2)}, M, z, alone, workspace);
    Matrix seen = Matrix::Zero(n, b);
    std::vector<int> states(static_cast<std::size_t>(b), 0);
    const Settled with = settle({}, *entry.make(), {s(0.4), s(4.2)}, M, z, watched, workspace,
                                [&](int step, ConstMatrixRef x, std::span<const Index> column) {
                                  REQUIRE(x.cols() == static_cast<Index>(column.size()));
                                  for (Index j = 0; j < x.cols(); ++j) {
                                    const Index sample = column[static_cast<std::size_t>(j)];
                                    CHECK(states[static_cast<std::size_t>(sample)]++ == step);
                                    if (step == 0) CHECK(x.col(j).isZero(0));
                                    seen.col(sample) = x.col(j);
                                  }
                                });
    CHECK(watched == alone);
    CHECK(seen == alone);
    CHECK(with.steps == without.steps);
    CHECK(*std::max_element(states.begin(), states.end()) == with.steps + 1);
    CHECK(states[3] == 0);
  }
}
