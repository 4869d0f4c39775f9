// The order of one layer's decorrelation: demean, apply R or settle M, and learn.
#include "core/decorrelation/decorrelator.hpp"

#include <algorithm>
#include <cmath>

#include "core/check.hpp"

namespace lateral {
namespace {

/// sum (n) ← sum + the columns of z (n × b), in double precision: the mean of a unit that never
/// varies is then exactly its value, and z − mean exactly zero. A rounding error in its place would
/// be a direction of its own to decorrelation, and to Adam, which scales it up, a gradient.
void add_columns(ConstMatrixRef z, Eigen::VectorXd& sum, const Compute& compute) {
  constexpr Index rows = 256;
  compute.for_columns(z.rows(), rows, Compute::pass_operations * static_cast<double>(z.size()),
                      [&](Index first, Index units) {
                        for (Index n = 0; n < z.cols(); ++n)
                          sum.segment(first, units) +=
                              z.col(n).segment(first, units).cast<double>();
                      });
}

void merge(const Settled& one, double samples_before, double samples, Settled& all) {
  all.converged = all.converged && one.converged;
  all.steps = std::max(all.steps, one.steps);
  all.mean_steps =
      (all.mean_steps * samples_before + one.mean_steps * samples) / (samples_before + samples);
  all.residual = std::max(all.residual, one.residual);
}

}  // namespace

Decorrelator::Decorrelator(const DecorrelatorParams& params, Index inputs,
                           const RandomStream& spectrum_start)
    : params_(params), steps_(static_cast<std::size_t>(params.steps_in_flight)) {
  LATERAL_CHECK(params.rule != nullptr);
  LATERAL_CHECK(params.compute != nullptr);
  LATERAL_CHECK(params.steps_in_flight >= 1);
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
  spectrum_.refresh(matrix_, *params_.compute);
  if (!warm()) return;
  LATERAL_CHECK(params.batch > 0);
  previous_x_.setZero(inputs, params.batch);
  previous_error_.setZero(inputs, params.batch);
}

void Decorrelator::about(const Part& part) { part_ = part; }

void Decorrelator::forward_train(ConstMatrixRef z, Matrix& x, const Part& part) {
  LATERAL_CHECK(part.first + z.cols() <= part.batch);
  LATERAL_CHECK(params_.demean != Demean::batch || z.cols() == part.batch);
  about(part);
  Step& step = this->step();
  const Index n = z.rows();
  const Index b = z.cols();
  if (params_.demean != Demean::none) {
    if (part.first == 0) step.sum.setZero(n);
    add_columns(z, step.sum, *params_.compute);
    step.batch_mean = (step.sum / static_cast<double>(part.batch)).cast<Scalar>();
  }
  step.zc.resize(n, part.batch);
  auto zc = step.zc.middleCols(part.first, b);
  const Vector& mean = params_.demean == Demean::batch ? step.batch_mean : mean_;
  params_.compute->pass(b, z.size(), [&](Index first, Index columns) {
    if (params_.demean == Demean::none)
      zc.middleCols(first, columns) = z.middleCols(first, columns);
    else
      zc.middleCols(first, columns) = z.middleCols(first, columns).colwise() - mean;
  });
  x.resize(n, part.batch);
  if (part.first == 0) step.forward_settled.reset(), step.backward_settled.reset();
  auto x_part = x.middleCols(part.first, b);
  if (deferred_.waiting && b == 1) {
    update_and_multiply(matrix_, &deferred_, zc.col(0), x_part.col(0));
    deferred_.waiting = false;
  } else if (const auto settled = apply(false, zc, x_part, &previous_x_)) {
    if (!step.forward_settled) step.forward_settled.emplace();
    merge(*settled, static_cast<double>(part.first), static_cast<double>(b), *step.forward_settled);
  }
  if (!rule_->has_matrix()) return;
  const auto fraction =
      static_cast<Index>(std::floor(params_.sample_fraction * static_cast<double>(part.batch)));
  const Index samples = std::min(part.batch, fraction + 1);
  step.z_sampled.resize(n, samples);
  step.x_sampled.resize(n, samples);
  const Index here = std::min(b, samples - part.first);
  if (here <= 0) return;
  step.z_sampled.middleCols(part.first, here) = z.leftCols(here);
  step.x_sampled.middleCols(part.first, here) = x_part.leftCols(here);
}

void Decorrelator::forward_evaluate(ConstMatrixRef z, Matrix& x) {
  evaluate_zc_.resize(z.rows(), z.cols());
  if (params_.demean == Demean::none)
    evaluate_zc_ = z;
  else
    evaluate_zc_ = z.colwise() - mean_;
  x.resize(z.rows(), z.cols());
  evaluate_settled_ = apply(false, evaluate_zc_, x, nullptr);
}

void Decorrelator::forward_difference(ConstMatrixRef d, Matrix& dx) {
  dx.resize(d.rows(), d.cols());
  const std::optional<Settled> settled = apply(false, d, dx, nullptr);
  std::optional<Settled>& forward = step().forward_settled;
  if (!settled || !forward) return;
  forward->converged = forward->converged && settled->converged;
  forward->residual = std::max(forward->residual, settled->residual);
}

void Decorrelator::backward(ConstMatrixRef error_at_x, Matrix& error_at_z) {
  error_at_z.resize(error_at_x.rows(), error_at_x.cols());
  if (const auto settled = apply(true, error_at_x, error_at_z, &previous_error_)) {
    std::optional<Settled>& backward = step().backward_settled;
    if (!backward) backward.emplace();
    merge(*settled, static_cast<double>(part_.first), static_cast<double>(error_at_x.cols()),
          *backward);
  }
  subtract_own_mean(error_at_z);
}

void Decorrelator::backward_probe(ConstMatrixRef error_at_x, Matrix& error_at_z) {
  error_at_z.resize(error_at_x.rows(), error_at_x.cols());
  apply(true, error_at_x, error_at_z, nullptr);
  subtract_own_mean(error_at_z);
}

DecorrelationUpdate Decorrelator::learn() {
  const Step& step = this->step();
  DecorrelationUpdate update;
  if (rule_->has_matrix()) {
    if (params_.null_directions == NullDirections::freeze) {
      moment_ = (1 - running_momentum) * moment_ +
                running_momentum * step.zc.array().square().rowwise().mean().matrix();
      active_ = (moment_.array() >= null_moment_max).cast<Scalar>();
    }
    Matrix& matrix = up_to_date();
    const DecorrelationView view{step.z_sampled,   step.zc.leftCols(step.x_sampled.cols()),
                                 step.x_sampled,   active_,
                                 *params_.compute, part_.batch == 1 ? &deferred_ : nullptr};
    if (settles()) {
      update = rule_->update_settled(view, matrix);
      spectrum_.track(matrix, *params_.compute);
    } else {
      update = rule_->update_closed_form(view, matrix);
    }
  }
  if (params_.demean != Demean::none)
    mean_ = (1 - running_momentum) * mean_ + running_momentum * step.batch_mean;
  return update;
}

Matrix& Decorrelator::up_to_date() {
  if (deferred_.waiting) update_and_multiply(matrix_, &deferred_, Vector(), no_vector_);
  deferred_.waiting = false;
  return matrix_;
}

void Decorrelator::visit_state(const TensorVisitor& visit) {
  const std::string prefix = "decorrelation/";
  if (rule_->has_matrix()) visit_matrix(visit, prefix + (settles() ? "M" : "R"), up_to_date());
  if (mean_.size() > 0) visit_vector(visit, prefix + "mean", mean_);
  if (moment_.size() > 0) visit_vector(visit, prefix + "moment", moment_);
  if (settles()) spectrum_.visit_state(prefix, visit);
  if (warm()) {
    visit_matrix(visit, prefix + "previous", previous_x_);
    visit_matrix(visit, prefix + "previous_error", previous_error_);
  }
}

void Decorrelator::state_loaded() {
  if (settles()) spectrum_.refresh(matrix_, *params_.compute);
}

std::optional<Settled> Decorrelator::apply(bool transposed, ConstMatrixRef in, MatrixRef out,
                                           Matrix* previous) {
  const Compute& compute = *params_.compute;
  if (!rule_->has_matrix()) {
    out = in;
    return std::nullopt;
  }
  if (!settles()) {
    if (in.cols() == 1 && !transposed)
      update_and_multiply(up_to_date(), nullptr, in.col(0), out.col(0));
    else
      compute.apply({up_to_date(), transposed}, in, out);
    return std::nullopt;
  }
  const bool warm_start =
      previous != nullptr && previous->cols() > 0 && previous->cols() == part_.batch;
  const Index width = compute.samples_per_product() > 0 ? compute.samples_per_product() : in.cols();
  Settled all;
  for (Index first = 0; first < in.cols(); first += width) {
    const Index columns = std::min(width, in.cols() - first);
    auto answer = out.middleCols(first, columns);
    if (warm_start)
      answer = previous->middleCols(part_.first + first, columns);
    else
      answer.setZero();
    const Settled settled =
        settle(params_.settle, *integrator_, spectrum_.bound(), {matrix_, transposed, compute},
               in.middleCols(first, columns), answer, workspace_);
    merge(settled, static_cast<double>(first), static_cast<double>(columns), all);
    if (!warm_start) continue;
    if (settled.converged)
      previous->middleCols(part_.first + first, columns) = answer;
    else
      previous->middleCols(part_.first + first, columns).setZero();
  }
  return all;
}

void Decorrelator::subtract_own_mean(Matrix& error_at_z) {
  if (params_.demean != Demean::batch) return;
  error_sum_.setZero(error_at_z.rows());
  add_columns(error_at_z, error_sum_, *params_.compute);
  error_mean_ = (error_sum_ / static_cast<double>(error_at_z.cols())).cast<Scalar>();
  params_.compute->pass(error_at_z.cols(), error_at_z.size(), [&](Index first, Index columns) {
    error_at_z.middleCols(first, columns).colwise() -= error_mean_;
  });
}

}  // namespace lateral
