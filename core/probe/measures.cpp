// Correlations and angles, in double precision.
#include "core/probe/measures.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/check.hpp"

namespace lateral {
namespace {

/// The rows of x that vary, demeaned and of unit norm: the correlations are their products.
Eigen::MatrixXd standardized(ConstMatrixRef x) {
  Eigen::MatrixXd rows = x.cast<double>();
  const Eigen::VectorXd mean = rows.rowwise().mean();
  const Eigen::VectorXd spread = rows.rowwise().maxCoeff() - rows.rowwise().minCoeff();
  rows.colwise() -= mean;
  const Eigen::VectorXd norm = rows.rowwise().norm();
  Index varying = 0;
  for (Index i = 0; i < rows.rows(); ++i)
    if (spread[i] > 0) rows.row(varying++) = rows.row(i) / norm[i];
  rows.conservativeResize(varying, Eigen::NoChange);
  return rows;
}

}  // namespace

double mean_squared_correlation(ConstMatrixRef x) {
  if (x.size() == 0) return 0;
  const Eigen::MatrixXd rows = standardized(x);
  const auto n = static_cast<double>(rows.rows());
  if (n < 2) return 0;
  Eigen::MatrixXd gram = Eigen::MatrixXd::Zero(rows.cols(), rows.cols());
  gram.selfadjointView<Eigen::Lower>().rankUpdate(rows.transpose());
  const double diagonal = gram.diagonal().squaredNorm();
  const double all = 2 * gram.squaredNorm() - diagonal;  // only the lower half was filled
  return std::max(0.0, all - n) / (n * (n - 1));         // ρ_ii = 1
}

Eigen::MatrixXd correlation_matrix(ConstMatrixRef x) {
  const Eigen::MatrixXd rows = standardized(x);
  const Eigen::MatrixXd found = rows * rows.transpose();
  std::vector<Index> varying;
  for (Index i = 0; i < x.rows(); ++i)
    if (x.cols() > 0 && x.row(i).maxCoeff() > x.row(i).minCoeff()) varying.push_back(i);
  Eigen::MatrixXd all =
      Eigen::MatrixXd::Constant(x.rows(), x.rows(), std::numeric_limits<double>::quiet_NaN());
  all(varying, varying) = found;
  return all;
}

double mean_squared_correlation_reference(ConstMatrixRef x) {
  if (x.size() == 0) return 0;
  const Eigen::MatrixXd rows = standardized(x);
  const auto n = static_cast<double>(rows.rows());
  if (n < 2) return 0;
  Eigen::MatrixXd correlation = rows * rows.transpose();
  correlation.diagonal().setZero();
  return correlation.squaredNorm() / (n * (n - 1));
}

namespace {

Eigen::MatrixXd centred(ConstMatrixRef x) {
  const Eigen::MatrixXd wide = x.cast<double>();
  return wide.colwise() - wide.rowwise().mean();
}

Eigen::LLT<Eigen::MatrixXd> damped_moment(const Eigen::MatrixXd& samples) {
  Eigen::MatrixXd moment = samples * samples.transpose() / static_cast<double>(samples.cols());
  const double mean = moment.trace() / static_cast<double>(moment.rows());
  moment.diagonal().array() += mean > 0 ? natural_damping * mean : 1;
  return Eigen::LLT<Eigen::MatrixXd>(moment);
}

}  // namespace

double effective_rank(ConstMatrixRef x) {
  if (x.size() == 0) return 0;
  const Eigen::MatrixXd rows = centred(x);
  const double trace = rows.squaredNorm();
  if (trace == 0) return 0;
  return trace * trace / (rows.transpose() * rows).squaredNorm();
}

double condition_number(ConstMatrixRef x) {
  const double infinite = std::numeric_limits<double>::infinity();
  if (x.cols() <= x.rows()) return infinite;
  const Eigen::MatrixXd rows = centred(x);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(rows * rows.transpose(),
                                                              Eigen::EigenvaluesOnly);
  const double smallest = solver.eigenvalues().minCoeff();
  const double largest = solver.eigenvalues().maxCoeff();
  return smallest > 1e-14 * largest ? largest / smallest : infinite;
}

double constant_share(ConstMatrixRef x) {
  if (x.size() == 0) return 0;
  constexpr Scalar rounding = 8 * std::numeric_limits<float>::epsilon();
  const Vector spread = x.rowwise().maxCoeff() - x.rowwise().minCoeff();
  const Vector size = x.cwiseAbs().rowwise().maxCoeff();
  return static_cast<double>((spread.array() <= rounding * size.array()).count()) /
         static_cast<double>(x.rows());
}

Eigen::MatrixXd natural_gradient(ConstMatrixRef delta, ConstMatrixRef z, bool both) {
  const Eigen::MatrixXd errors = delta.cast<double>(), inputs = z.cast<double>();
  Eigen::MatrixXd gradient = errors * inputs.transpose() / static_cast<double>(inputs.cols());
  gradient = damped_moment(inputs).solve(gradient.transpose()).transpose().eval();
  if (both) gradient = damped_moment(errors).solve(gradient).eval();
  return gradient;
}

double angle_degrees(ConstMatrixRef a, ConstMatrixRef b) {
  LATERAL_CHECK(a.rows() == b.rows());
  LATERAL_CHECK(a.cols() == b.cols());
  const double norm_a = std::sqrt(a.cast<double>().squaredNorm());
  const double norm_b = std::sqrt(b.cast<double>().squaredNorm());
  if (norm_a == 0 || norm_b == 0) return 90;
  // Half the angle from the diagonals of the rhombus of unit vectors: exact near 0 and 180 degrees,
  // where the arc cosine is not.
  const auto unit_a = a.cast<double>() / norm_a;
  const auto unit_b = b.cast<double>() / norm_b;
  const double apart = std::sqrt((unit_a - unit_b).squaredNorm());
  const double along = std::sqrt((unit_a + unit_b).squaredNorm());
  return 2 * std::atan2(apart, along) * 180 / std::numbers::pi;
}

}  // namespace lateral
