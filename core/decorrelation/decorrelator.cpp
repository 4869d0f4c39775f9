// The order of one layer's decorrelation: demean, apply R or settle M, and learn.
#include "core/decorrelation/decorrelator.hpp"

#include <algorithm>
#include <cmath>

#include "core/check.hpp"

namespace lateral {
namespace {

/// mean (n) of the columns of z (n × b), summed in double precision: the mean of a unit that never
/// varies is then exactly its value, and z − mean exactly zero. A rounding error in its place would
/// be a direction of its own to decorrelation, and to Adam, which scales it up, a gradient.
void mean_over_batch(ConstMatrixRef z, Eigen::VectorXd& sum, Vector& mean) {
  sum = z.col(0).cast<double>();
  for (Index n = 1; n < z.cols(); ++n) sum += z.col(n).cast<double>();
  mean = (sum / static_cast<double>(z.cols())).cast<Scalar>();
}

}  // namespace

Decorrelator::Decorrelator(const DecorrelatorParams& params, Index inputs,
                           const RandomStream& spectrum_start)
    : params_(params) {
  LATERAL_CHECK(params.rule != nullptr);
  rule_ = params.rule(params.rule_params);
  if (params.demean != Demean::none || rule_->has_matrix()) mean_.setZero(inputs);
  if (!rule_->has_matrix()) return;
  matrix_.setIdentity(inputs, inputs);
  active_.setOnes(inputs);
  if (params.null_directions == NullDirections::freeze) moment_.setZero(inputs);
  if (!settles()) return;
  LATERAL_CHECK(params.integrator != nullptr);
  integrator_ = params.integrator();
  spectrum_ = SpectrumTracker(inputs, spectrum_start);
  spectrum_.refresh(matrix_);
  if (!warm()) return;
  LATERAL_CHECK(params.batch > 0);
  previous_x_.setZero(inputs, params.batch);
  previous_error_.setZero(inputs, params.batch);
}

void Decorrelator::forward_train(ConstMatrixRef z, Matrix& x) {
  if (params_.demean != Demean::none) mean_over_batch(z, sum_, batch_mean_);
  zc_.resize(z.rows(), z.cols());
  switch (params_.demean) {
    case Demean::batch:
      zc_ = z.colwise() - batch_mean_;
      break;
    case Demean::running:
      zc_ = z.colwise() - mean_;
      break;
    case Demean::none:
      zc_ = z;
      break;
  }
  forward_settled_ = apply(false, zc_, x, warm() ? &previous_x_ : nullptr);
  backward_settled_.reset();
  if (!rule_->has_matrix()) return;
  if (warm()) remember(forward_settled_, x, previous_x_);
  const auto fraction =
      static_cast<Index>(std::floor(params_.sample_fraction * static_cast<double>(z.cols())));
  const Index samples = std::min(z.cols(), fraction + 1);
  z_sampled_ = z.leftCols(samples);
  x_sampled_ = x.leftCols(samples);
}

void Decorrelator::forward_evaluate(ConstMatrixRef z, Matrix& x) {
  evaluate_zc_.resize(z.rows(), z.cols());
  if (params_.demean == Demean::none)
    evaluate_zc_ = z;
  else
    evaluate_zc_ = z.colwise() - mean_;
  evaluate_settled_ = apply(false, evaluate_zc_, x, nullptr);
}

void Decorrelator::forward_difference(ConstMatrixRef d, Matrix& dx) {
  const std::optional<Settled> settled = apply(false, d, dx, nullptr);
  if (!settled || !forward_settled_) return;
  forward_settled_->converged = forward_settled_->converged && settled->converged;
  forward_settled_->residual = std::max(forward_settled_->residual, settled->residual);
}

void Decorrelator::backward(ConstMatrixRef error_at_x, Matrix& error_at_z) {
  backward_settled_ = apply(true, error_at_x, error_at_z, warm() ? &previous_error_ : nullptr);
  if (warm()) remember(backward_settled_, error_at_z, previous_error_);
  subtract_own_mean(error_at_z);
}

void Decorrelator::backward_probe(ConstMatrixRef error_at_x, Matrix& error_at_z) {
  apply(true, error_at_x, error_at_z, nullptr);
  subtract_own_mean(error_at_z);
}

DecorrelationUpdate Decorrelator::learn() {
  DecorrelationUpdate update;
  if (rule_->has_matrix()) {
    if (params_.null_directions == NullDirections::freeze) {
      moment_ = (1 - running_momentum) * moment_ +
                running_momentum * zc_.array().square().rowwise().mean().matrix();
      active_ = (moment_.array() >= null_moment_max).cast<Scalar>();
    }
    const DecorrelationView view{z_sampled_, zc_.leftCols(x_sampled_.cols()), x_sampled_, active_};
    if (settles()) {
      update = rule_->update_settled(view, matrix_);
      spectrum_.track(matrix_);
    } else {
      update = rule_->update_closed_form(view, matrix_);
    }
  }
  if (params_.demean != Demean::none)
    mean_ = (1 - running_momentum) * mean_ + running_momentum * batch_mean_;
  return update;
}

void Decorrelator::visit_state(const TensorVisitor& visit) {
  const std::string prefix = "decorrelation/";
  if (rule_->has_matrix()) visit_matrix(visit, prefix + (settles() ? "M" : "R"), matrix_);
  if (mean_.size() > 0) visit_vector(visit, prefix + "mean", mean_);
  if (moment_.size() > 0) visit_vector(visit, prefix + "moment", moment_);
  if (settles()) spectrum_.visit_state(prefix, visit);
  if (warm()) {
    visit_matrix(visit, prefix + "previous", previous_x_);
    visit_matrix(visit, prefix + "previous_error", previous_error_);
  }
}

void Decorrelator::state_loaded() {
  if (settles()) spectrum_.refresh(matrix_);
}

std::optional<Settled> Decorrelator::apply(bool transposed, ConstMatrixRef in, Matrix& out,
                                           const Matrix* start) {
  out.resize(in.rows(), in.cols());
  if (!rule_->has_matrix()) {
    out = in;
    return std::nullopt;
  }
  if (!settles()) {
    if (transposed)
      out.noalias() = matrix_.transpose() * in;
    else
      out.noalias() = matrix_ * in;
    return std::nullopt;
  }
  if (start != nullptr && start->cols() == in.cols())
    out = *start;
  else
    out.setZero();
  return settle(params_.settle, *integrator_, spectrum_.bound(), {matrix_, transposed}, in, out,
                workspace_);
}

void Decorrelator::remember(const std::optional<Settled>& settled, const Matrix& answer,
                            Matrix& previous) const {
  if (answer.cols() != previous.cols()) return;
  if (settled->converged)
    previous = answer;
  else
    previous.setZero();
}

void Decorrelator::subtract_own_mean(Matrix& error_at_z) {
  if (params_.demean != Demean::batch) return;
  mean_over_batch(error_at_z, sum_, error_mean_);
  error_at_z.colwise() -= error_mean_;
}

}  // namespace lateral
