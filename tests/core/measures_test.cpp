// Probes against cases whose answer is known.
#include "core/probe/measures.hpp"

#include <numbers>

#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

TEST_CASE("the mean squared correlation from the Gram matrix is that from the correlations") {
  for (const Index n : {1, 2, 3, 17, 40})
    for (const Index b : {1, 2, 5, 33}) {
      CAPTURE(n);
      CAPTURE(b);
      const Matrix x = correlated(n, b, 3);
      CHECK(mean_squared_correlation(x) ==
            doctest::Approx(mean_squared_correlation_reference(x)).epsilon(1e-10));
    }
}

TEST_CASE("correlations of known data") {
  Matrix x(3, 4);
  x << 1, -1, 1, -1, 1, 1, -1, -1, 1, -1, -1, 1;  // orthogonal and of mean zero
  CHECK(mean_squared_correlation(x) == doctest::Approx(0));
  x.row(1) = 5 * x.row(0).array() + 3;
  CHECK(mean_squared_correlation(x) == doctest::Approx(2.0 / 6));  // one pair of three
  x.row(2).setConstant(s(0.1));
  CHECK(mean_squared_correlation(x) == doctest::Approx(1));  // the constant row is left out
  x.row(1).setConstant(7);
  CHECK(mean_squared_correlation(x) == 0);
}

TEST_CASE("ranks and condition numbers of known covariances") {
  Matrix x(2, 4);  // orthogonal rows of mean zero
  x << 1, -1, 1, -1, 1, 1, -1, -1;
  CHECK(effective_rank(x) == doctest::Approx(2));
  CHECK(condition_number(x) == doctest::Approx(1));
  x.row(1) *= 3;  // eigenvalues 1 and 9
  CHECK(effective_rank(x) == doctest::Approx(100.0 / 82));
  CHECK(condition_number(x) == doctest::Approx(9));
  CHECK(effective_rank(x.array() + 5) == doctest::Approx(100.0 / 82));
  x.row(1) = 2 * x.row(0);
  CHECK(effective_rank(x) == doctest::Approx(1));
  CHECK(std::isinf(condition_number(x)));
  CHECK(std::isinf(condition_number(x.leftCols(2))));
  x.row(1).setConstant(s(0.3));
  CHECK(constant_share(x) == 0.5);
  CHECK(effective_rank(Matrix::Ones(3, 4)) == 0);
}

TEST_CASE("the natural gradient does not depend on the coordinates of the input") {
  const Matrix z = correlated(4, 64, 1), delta = normal(3, 64, 2);
  const Matrix turn = Matrix::Identity(4, 4) + s(0.3) * normal(4, 4, 3);
  // V' = V T⁻¹ for z' = T z: a step that means the same is ΔV' = ΔV T⁻¹. Damping alone differs.
  const Eigen::MatrixXd one = natural_gradient(delta, z, true);
  const Eigen::MatrixXd other = natural_gradient(delta, turn * z, true) * turn.cast<double>();
  CHECK((one - other).norm() < 0.05 * one.norm());
  // In white coordinates the half of the input is the plain gradient.
  const Eigen::MatrixXd gradient = (delta * z.transpose() / s(64)).cast<double>();
  const Eigen::MatrixXd half = natural_gradient(delta, z, false);
  const Eigen::MatrixXd A = (z * z.transpose() / s(64)).cast<double>();
  CHECK((half * A - gradient).norm() < 0.05 * gradient.norm());
  CHECK((half - gradient).norm() > 0.2 * gradient.norm());
}

TEST_CASE("angles are exact, small ones too") {
  const Matrix a = normal(5, 7, 1);
  CHECK(angle_degrees(a, 3 * a) == doctest::Approx(0).epsilon(1e-4));
  CHECK(angle_degrees(a, -a) == doctest::Approx(180));
  CHECK(angle_degrees(a, Matrix::Zero(5, 7)) == 90);
  Matrix u = Matrix::Zero(2, 1), v = Matrix::Zero(2, 1);
  u(0) = 2;
  v(1) = 3;
  CHECK(angle_degrees(u, v) == doctest::Approx(90));
  v(0) = 3 * s(0x1p20);
  CHECK(angle_degrees(u, v) == doctest::Approx(0x1p-20 * 180 / std::numbers::pi).epsilon(1e-6));
}

TEST_CASE(
    "the correlation matrix agrees with the mean squared correlation, and is NaN where undefined") {
  Matrix x = correlated(6, 20, 5);
  const Eigen::MatrixXd whole = correlation_matrix(x);
  CHECK((whole.diagonal().array() - 1).abs().maxCoeff() < 1e-12);
  const double off_diagonal = (whole.squaredNorm() - 6) / 30;
  CHECK(off_diagonal == doctest::Approx(mean_squared_correlation(x)).epsilon(1e-10));
  x.row(2).setConstant(s(0.1));
  const Eigen::MatrixXd partly = correlation_matrix(x);
  CHECK(partly.row(2).array().isNaN().all());
  CHECK(partly.col(2).array().isNaN().all());
  CHECK(partly(3, 5) == whole(3, 5));
  CHECK(partly.array().isNaN().count() == 11);
}
