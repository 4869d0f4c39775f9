// Eigen's decompositions, which take long to compile, in a file of their own.
#include "core/probe/spectra.hpp"

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>
#include <cmath>
#include <vector>

#include "core/check.hpp"

namespace lateral {

Eigen::VectorXd correlation_eigenvalues(ConstMatrixRef correlation) {
  LATERAL_CHECK(correlation.rows() == correlation.cols());
  std::vector<Index> varying;
  for (Index i = 0; i < correlation.rows(); ++i)
    if (!std::isnan(correlation(i, i))) varying.push_back(i);
  if (varying.empty()) return {};
  const Eigen::MatrixXd matrix = correlation(varying, varying).cast<double>();
  return Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(matrix, Eigen::EigenvaluesOnly)
      .eigenvalues()
      .reverse();
}

Vector singular_values(ConstMatrixRef A) { return Eigen::BDCSVD<Matrix>(A).singularValues(); }

}  // namespace lateral
