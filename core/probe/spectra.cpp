// Spectra by the eigenvalues of symmetric matrices: an SVD would give the same digits, but takes
// many times longer to compile.
#include "core/probe/spectra.hpp"

#include <Eigen/Eigenvalues>
#include <cmath>
#include <vector>

#include "core/check.hpp"

namespace lateral {
namespace {

/// Of a symmetric matrix, of which the lower triangle is read; largest first.
Eigen::VectorXd eigenvalues(const Eigen::MatrixXd& symmetric) {
  return Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(symmetric, Eigen::EigenvaluesOnly)
      .eigenvalues()
      .reverse();
}

}  // namespace

Eigen::VectorXd correlation_eigenvalues(ConstMatrixRef correlation) {
  LATERAL_CHECK(correlation.rows() == correlation.cols());
  std::vector<Index> varying;
  for (Index i = 0; i < correlation.rows(); ++i)
    if (!std::isnan(correlation(i, i))) varying.push_back(i);
  if (varying.empty()) return {};
  return eigenvalues(correlation(varying, varying).cast<double>());
}

Eigen::VectorXd singular_values(ConstMatrixRef A) {
  if (A.size() == 0) return {};
  const bool is_wide = A.rows() < A.cols();
  const Eigen::MatrixXd tall =
      is_wide ? Eigen::MatrixXd(A.transpose().cast<double>()) : Eigen::MatrixXd(A.cast<double>());
  return eigenvalues(tall.transpose() * tall).cwiseMax(0).cwiseSqrt();
}

}  // namespace lateral
