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
