// The order of one layer's decorrelation: demean, apply R or settle M, and learn.
#include "core/decorrelation/decorrelator.hpp"

#include <Eigen/LU>
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

/// Power iterations on an M that is known for the first time.
constexpr int spectrum_start_iterations = 64;

void merge(const Settled& one, double samples_before, double samples, Settled& all) {
  all.converged = all.converged && one.converged;
  all.steps = std::max(all.steps, one.steps);
  all.mean_steps =
      (all.mean_steps * samples_before + one.mean_steps * samples) / (samples_before + samples);
  all.residual = std::max(all.residual, one.residual);
}

}  // namespace

Decorrelator::Decorrelator(const DecorrelatorParams& params, Index inputs, std::uint64_t seed,
                           std::uint32_t node)
    : params_(params), steps_(static_cast<std::size_t>(params.steps_in_flight)) {
  LATERAL_CHECK(params.rule != nullptr);
  LATERAL_CHECK(params.compute != nullptr);
  LATERAL_CHECK(params.steps_in_flight >= 1);
  rule_ = params.rule(params.rule_params);
  rule_->begin(inputs, RandomStream(seed, node, 0, Purpose::initial_decorrelation), state_);
  if (params.demean != Demean::none || has_matrix()) mean_.setZero(inputs);
  if (!has_matrix()) return;
  active_.setOnes(inputs);
  if (params.null_directions == NullDirections::freeze) moment_.setZero(inputs);
  if (!settles()) return;
  LATERAL_CHECK(params.integrator != nullptr);
  integrator_ = params.integrator();
  spectrum_ = SpectrumTracker(inputs, RandomStream(seed, node, 0, Purpose::spectrum));
  spectrum_.refresh(state_.M, *params_.compute);
  if (!state_.M.isDiagonal(0))  // of a diagonal any vector tells
    for (int i = 0; i < spectrum_start_iterations; ++i)
      spectrum_.track(state_.M, Vector(), *params_.compute);
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
  step.batch_matrix = rule_->whitens_batch() ? rule_->batch_matrix(zc, *params_.compute) : nullptr;
  if (deferred_.waiting && part.batch == 1) {
    update_and_multiply(state_.R, &deferred_, zc.col(0), x_part.col(0));
    deferred_.waiting = false;
  } else if (const auto settled =
                 forward(zc, {.batch = part.batch, .watched = true},
                         step.batch_matrix != nullptr ? *step.batch_matrix : up_to_date_R(), x_part,
                         &previous_x_)) {
    if (!step.forward_settled) step.forward_settled.emplace();
    merge(*settled, static_cast<double>(part.first), static_cast<double>(b), *step.forward_settled);
  }
  if (!has_matrix()) return;
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
  evaluate_settled_ = forward(evaluate_zc_, {z.cols()}, up_to_date_R(), x, nullptr);
}

void Decorrelator::forward_difference(ConstMatrixRef d, Matrix& dx) {
  dx.resize(d.rows(), d.cols());
  const Matrix* own = step().batch_matrix;
  const std::optional<Settled> settled =
      forward(d, {part_.batch, true}, own != nullptr ? *own : up_to_date_R(), dx, nullptr);
  std::optional<Settled>& forward = step().forward_settled;
  if (!settled || !forward) return;
  forward->converged = forward->converged && settled->converged;
  forward->residual = std::max(forward->residual, settled->residual);
}

void Decorrelator::backward(ConstMatrixRef error_at_x, Matrix& error_at_z) {
  error_at_z.resize(error_at_x.rows(), error_at_x.cols());
  if (const auto settled = back(error_at_x, error_at_z, &previous_error_)) {
    std::optional<Settled>& backward = step().backward_settled;
    if (!backward) backward.emplace();
    merge(*settled, static_cast<double>(part_.first), static_cast<double>(error_at_x.cols()),
          *backward);
  }
  subtract_own_mean(error_at_z);
}

void Decorrelator::backward_probe(ConstMatrixRef error_at_x, Matrix& error_at_z) {
  error_at_z.resize(error_at_x.rows(), error_at_x.cols());
  back(error_at_x, error_at_z, nullptr);
  subtract_own_mean(error_at_z);
}

DecorrelationUpdate Decorrelator::learn() {
  const Step& step = this->step();
  DecorrelationUpdate update;
  if (has_matrix()) {
    if (params_.null_directions == NullDirections::freeze) {
      moment_ = (1 - running_momentum) * moment_ +
                running_momentum * step.zc.array().square().rowwise().mean().matrix();
      active_ = (moment_.array() >= null_moment_max).cast<Scalar>();
    }
    up_to_date_R();
    update = rule_->update({step.z_sampled, step.zc.leftCols(step.x_sampled.cols()), step.x_sampled,
                            active_, *params_.compute, part_.batch == 1 ? &deferred_ : nullptr},
                           state_);
    if (settles()) spectrum_.track(state_.M, step.zc.col(0), *params_.compute);
  }
  if (params_.demean != Demean::none)
    mean_ = (1 - running_momentum) * mean_ + running_momentum * step.batch_mean;
  return update;
}

Matrix& Decorrelator::up_to_date_R() {
  if (!deferred_.waiting) return state_.R;
  update_and_multiply(state_.R, &deferred_, Vector(), no_vector_);
  deferred_.waiting = false;
  return state_.R;
}

Matrix Decorrelator::through(const Matrix& V) const {
  Matrix out = V;
  if (state_.M.size() > 0)
    out = state_.M.transpose().partialPivLu().solve(V.transpose()).transpose();
  if (const Matrix* own = step().batch_matrix) return out * *own;
  if (state_.R.size() > 0) out = (out * state_.R).eval();
  return out;
}

void Decorrelator::visit_state(const TensorVisitor& visit) {
  const std::string prefix = "decorrelation/";
  if (state_.R.size() > 0) visit_matrix(visit, prefix + "R", up_to_date_R());
  if (state_.M.size() > 0) visit_matrix(visit, prefix + "M", state_.M);
  if (state_.threshold.size() > 0) visit_vector(visit, prefix + "threshold", state_.threshold);
  rule_->visit_state(prefix, visit);
  if (mean_.size() > 0) visit_vector(visit, prefix + "mean", mean_);
  if (moment_.size() > 0) visit_vector(visit, prefix + "moment", moment_);
  if (settles()) spectrum_.visit_state(prefix, visit);
  if (warm()) {
    visit_matrix(visit, prefix + "previous", previous_x_);
    visit_matrix(visit, prefix + "previous_error", previous_error_);
  }
}

void Decorrelator::state_loaded() {
  if (settles()) spectrum_.refresh(state_.M, *params_.compute);
}

std::optional<Settled> Decorrelator::forward(ConstMatrixRef in, Forward what, const Matrix& R,
                                             MatrixRef out, Matrix* previous) {
  const bool shifted = state_.threshold.size() > 0 && !what.is_difference;
  if (!settles()) {
    if (R.size() == 0)
      out = in;
    else if (what.batch == 1 && &R == &state_.R)  // by the batch: pieces of it must not differ
      update_and_multiply(state_.R, nullptr, in.col(0), out.col(0));
    else
      params_.compute->apply({R}, in, out);
    if (shifted) out.colwise() -= state_.threshold;
    return std::nullopt;
  }
  if (R.size() == 0 && !shifted) return settle_all(false, in, out, previous, what.watched);
  drive_.resize(in.rows(), in.cols());
  if (R.size() > 0)
    params_.compute->apply({R}, in, drive_);
  else
    drive_ = in;
  if (shifted) drive_.colwise() -= state_.threshold;
  return settle_all(false, drive_, out, previous, what.watched);
}

std::optional<Settled> Decorrelator::back(ConstMatrixRef G, MatrixRef error_at_z,
                                          Matrix* previous) {
  const Step& step = this->step();
  if (step.batch_matrix != nullptr) {
    rule_->batch_backward(step.zc, G, error_at_z, *params_.compute);
    return std::nullopt;
  }
  const Matrix& R = up_to_date_R();
  if (!settles()) {
    if (R.size() > 0)
      params_.compute->apply({R, true}, G, error_at_z);
    else
      error_at_z = G;
    return std::nullopt;
  }
  if (R.size() == 0) return settle_all(true, G, error_at_z, previous);
  drive_.resize(G.rows(), G.cols());
  const std::optional<Settled> settled = settle_all(true, G, drive_, previous);
  params_.compute->apply({R, true}, drive_, error_at_z);
  return settled;
}

std::optional<Settled> Decorrelator::settle_all(bool transposed, ConstMatrixRef in, MatrixRef out,
                                                Matrix* previous, bool watched) {
  const Compute& compute = *params_.compute;
  const bool warm_start =
      previous != nullptr && previous->cols() > 0 && previous->cols() == part_.batch;
  const Index width = compute.samples_per_product() > 0 ? compute.samples_per_product() : in.cols();
  Settled all;
  std::vector<Index> places;  // of the columns in the batch, for the observer
  for (Index first = 0; first < in.cols(); first += width) {
    const Index columns = std::min(width, in.cols() - first);
    auto answer = out.middleCols(first, columns);
    if (warm_start)
      answer = previous->middleCols(part_.first + first, columns);
    else
      answer.setZero();
    SettleObserver observer;
    if (watched && observer_)
      observer = [&](int step, ConstMatrixRef x, std::span<const Index> column) {
        places.assign(column.begin(), column.end());
        for (Index& place : places) place += part_.first + first;
        observer_(step, x, places);
      };
    const Settled settled =
        settle(params_.settle, *integrator_, spectrum_.bound(), {state_.M, transposed, compute},
               in.middleCols(first, columns), answer, workspace_, observer);
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
