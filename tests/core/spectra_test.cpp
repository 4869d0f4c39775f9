// Spectra against matrices whose eigenvalues and singular values are known.
#include "core/probe/spectra.hpp"

#include <Eigen/QR>

#include "core/probe/measures.hpp"
#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

namespace {

/// (m × n) with orthonormal columns, m ≥ n.
Matrix orthonormal(Index m, Index n, std::uint64_t seed) {
  return Eigen::HouseholderQR<Matrix>(normal(m, n, seed)).householderQ() * Matrix::Identity(m, n);
}

}  // namespace

TEST_CASE("correlation eigenvalues of equally correlated units are 1 + (n − 1) ρ and 1 − ρ") {
  constexpr Index n = 5;
  constexpr double rho = 0.25;
  Matrix correlation = Matrix::Constant(n, n, s(rho));
  correlation.diagonal().setOnes();
  const Eigen::VectorXd values = correlation_eigenvalues(correlation);
  REQUIRE(values.size() == n);
  CHECK(values[0] == doctest::Approx(1 + (n - 1) * rho));
  for (Index i = 1; i < n; ++i) CHECK(values[i] == doctest::Approx(1 - rho));
}

TEST_CASE("correlation eigenvalues are those of the units that vary, largest first") {
  Matrix x = correlated(6, 20, 1);
  Matrix without_third(5, 20);
  without_third << x.topRows(2), x.bottomRows(3);
  x.row(2).setConstant(s(0.5));
  const Eigen::VectorXd values = correlation_eigenvalues(correlation_matrix(x).cast<Scalar>());
  const Eigen::VectorXd expected =
      correlation_eigenvalues(correlation_matrix(without_third).cast<Scalar>());
  REQUIRE(values.size() == 5);
  CHECK((values - expected).norm() < 1e-6);
  CHECK(values.sum() == doctest::Approx(5).epsilon(1e-5));
  for (Index i = 1; i < 5; ++i) CHECK(values[i] < values[i - 1]);

  CHECK(correlation_eigenvalues(correlation_matrix(Matrix::Ones(3, 4)).cast<Scalar>()).size() == 0);
  CHECK(correlation_eigenvalues(Matrix(0, 0)).size() == 0);
}

TEST_CASE("singular values are those that the matrix was made of, whatever its orientation") {
  for (const Index n : {1, 3, 40}) {
    CAPTURE(n);
    Vector values(n);
    for (Index i = 0; i < n; ++i) values[i] = s(static_cast<double>(2 * (n - i)));
    const Matrix A = orthonormal(n + 2, n, 1) * values.asDiagonal() * orthonormal(n, n, 2);
    const double rounding = 100 * std::max(epsilon, 1e-10) * static_cast<double>(values[0]);
    for (const Matrix& matrix : {A, Matrix(A.transpose())}) {
      const Eigen::VectorXd found = singular_values(matrix);
      REQUIRE(found.size() == n);
      CHECK((found - values.cast<double>()).cwiseAbs().maxCoeff() < rounding);
    }
  }
  CHECK(singular_values(Matrix::Zero(2, 2)).norm() == 0);
  CHECK(singular_values(Matrix(0, 3)).size() == 0);
}
