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

/// What the names of all tensors begin with.
constexpr const char* tensor_prefix = "decorrelation/";

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
    : params_(params) {
  LATERAL_CHECK(params.rule != nullptr);
  LATERAL_CHECK(params.compute != nullptr);
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
  search_spectrum();
  if (!keeps_answers()) return;
  LATERAL_CHECK(params.batch > 0);
  previous_x_.setZero(inputs, params.batch);
  previous_error_.setZero(inputs, params.batch);
}

void Decorrelator::search_spectrum() {
  spectrum_.refresh(state_.M, *params_.compute);
  if (state_.M.isDiagonal(0)) return;  // any vector shows the spectrum
  for (int i = 0; i < spectrum_start_iterations; ++i)
    spectrum_.track(state_.M, Vector(), *params_.compute);
}

void Decorrelator::begin(DecorrelationStep& step, Index batch) const {
  step.batch = batch;
  step.forward_settled.reset();
  step.backward_settled.reset();
  step.batch_matrix = nullptr;
}

void Decorrelator::forward_train(DecorrelationStep& step, Index first, ConstMatrixRef z,
                                 MatrixRef x) {
  const Index n = z.rows();
  const Index b = z.cols();
  LATERAL_CHECK(first + b <= step.batch);
  LATERAL_CHECK(params_.demean != Demean::batch || b == step.batch);
  if (params_.demean != Demean::none) {
    if (first == 0) step.sum.setZero(n);
    add_columns(z, step.sum, *params_.compute);
    step.batch_mean = (step.sum / static_cast<double>(step.batch)).cast<Scalar>();
  }
  step.zc.resize(n, step.batch);
  auto zc = step.zc.middleCols(first, b);
  const Vector& mean = params_.demean == Demean::batch ? step.batch_mean : mean_;
  params_.compute->pass(b, z.size(), [&](Index column, Index columns) {
    if (params_.demean == Demean::none)
      zc.middleCols(column, columns) = z.middleCols(column, columns);
    else
      zc.middleCols(column, columns) = z.middleCols(column, columns).colwise() - mean;
  });
  step.batch_matrix = rule_->whitens_batch() ? rule_->batch_matrix(zc, *params_.compute) : nullptr;
  if (deferred_.waiting && step.batch == 1) {
    update_and_multiply(state_.R, &deferred_, zc.col(0), x.col(0));
    deferred_.waiting = false;
  } else if (const auto settled =
                 forward(zc,
                         {.batch = step.batch,
                          .first = first,
                          .is_watched = true,
                          .previous = &previous_x_},
                         step.batch_matrix != nullptr ? *step.batch_matrix : up_to_date_R(), x)) {
    if (!step.forward_settled) step.forward_settled.emplace();
    merge(*settled, static_cast<double>(first), static_cast<double>(b), *step.forward_settled);
  }
  if (!has_matrix()) return;
  const auto fraction =
      static_cast<Index>(std::floor(params_.sample_fraction * static_cast<double>(step.batch)));
  const Index samples = std::min(step.batch, fraction + 1);
  step.z_sampled.resize(n, samples);
  step.x_sampled.resize(n, samples);
  const Index here = std::min(b, samples - first);
  if (here <= 0) return;
  step.z_sampled.middleCols(first, here) = z.leftCols(here);
  step.x_sampled.middleCols(first, here) = x.leftCols(here);
}

void Decorrelator::forward_evaluate(ConstMatrixRef z, Matrix& x) {
  evaluate_zc_.resize(z.rows(), z.cols());
  if (params_.demean == Demean::none)
    evaluate_zc_ = z;
  else
    evaluate_zc_ = z.colwise() - mean_;
  x.resize(z.rows(), z.cols());
  evaluate_settled_ = forward(evaluate_zc_, {.batch = z.cols()}, up_to_date_R(), x);
}

void Decorrelator::forward_difference(DecorrelationStep& step, Index first, ConstMatrixRef d,
                                      MatrixRef dx) {
  const Matrix* own = step.batch_matrix;
  const std::optional<Settled> settled =
      forward(d, {.batch = step.batch, .first = first, .is_difference = true},
              own != nullptr ? *own : up_to_date_R(), dx);
  if (!settled || !step.forward_settled) return;
  Settled& all = *step.forward_settled;
  all.converged = all.converged && settled->converged;
  all.residual = std::max(all.residual, settled->residual);
}

void Decorrelator::backward(DecorrelationStep& step, Index first, ConstMatrixRef error_at_x,
                            MatrixRef error_at_z) {
  if (const auto settled = back(step, first, error_at_x, error_at_z, &previous_error_)) {
    if (!step.backward_settled) step.backward_settled.emplace();
    merge(*settled, static_cast<double>(first), static_cast<double>(error_at_x.cols()),
          *step.backward_settled);
  }
  subtract_own_mean(error_at_z);
}

void Decorrelator::backward_probe(const DecorrelationStep& step, ConstMatrixRef error_at_x,
                                  MatrixRef error_at_z) {
  back(step, 0, error_at_x, error_at_z, nullptr);
  subtract_own_mean(error_at_z);
}

DecorrelationUpdate Decorrelator::learn(DecorrelationStep& step) {
  DecorrelationUpdate update;
  if (has_matrix()) {
    if (params_.null_directions == NullDirections::freeze) {
      moment_ = (1 - running_momentum) * moment_ +
                running_momentum * step.zc.array().square().rowwise().mean().matrix();
      active_ = (moment_.array() >= null_moment_max).cast<Scalar>();
    }
    up_to_date_R();
    if (params_.is_frozen) {
      learn_mean(step);
      return update;
    }
    update = rule_->update({step.z_sampled, step.zc.leftCols(step.x_sampled.cols()), step.x_sampled,
                            active_, *params_.compute, step.batch == 1 ? &deferred_ : nullptr},
                           state_);
    if (settles()) spectrum_.track(state_.M, step.zc.col(0), *params_.compute);
  }
  learn_mean(step);
  return update;
}

void Decorrelator::learn_mean(const DecorrelationStep& step) {
  if (params_.demean == Demean::none) return;
  if (params_.demean == Demean::learned) {
    const Matrix& x = has_matrix() ? step.x_sampled : step.zc;  // without a matrix x is zc
    mean_ += params_.mean_rate * x.cast<double>().rowwise().mean().cast<Scalar>();
    return;
  }
  mean_ = (1 - running_momentum) * mean_ + running_momentum * step.batch_mean;
}

Matrix& Decorrelator::up_to_date_R() {
  if (!deferred_.waiting) return state_.R;
  update_and_multiply(state_.R, &deferred_, Vector(), no_vector_);
  deferred_.waiting = false;
  return state_.R;
}

Matrix Decorrelator::through(const DecorrelationStep& step, const Matrix& V) const {
  Matrix out = V;
  if (state_.M.size() > 0)
    out = state_.M.transpose().partialPivLu().solve(V.transpose()).transpose();
  if (step.batch_matrix != nullptr) return out * *step.batch_matrix;
  if (state_.R.size() > 0) out = (out * state_.R).eval();
  return out;
}

void Decorrelator::visit_state(const TensorVisitor& visit) {
  const std::string prefix = tensor_prefix;
  if (state_.R.size() > 0)
    visit_matrix(visit, prefix + "R", up_to_date_R(), TensorRole::feedforward);
  if (state_.M.size() > 0) visit_matrix(visit, prefix + "M", state_.M, TensorRole::lateral);
  if (state_.threshold.size() > 0)
    visit_vector(visit, prefix + "threshold", state_.threshold, TensorRole::threshold);
  rule_->visit_state(prefix, visit);
  if (mean_.size() > 0) visit_vector(visit, prefix + "mean", mean_, TensorRole::mean);
  if (moment_.size() > 0) visit_vector(visit, prefix + "moment", moment_);
  if (settles()) spectrum_.visit_state(prefix, visit);
  if (keeps_answers()) {
    visit_matrix(visit, prefix + "previous", previous_x_);
    visit_matrix(visit, prefix + "previous_error", previous_error_);
  }
}

std::vector<TensorSpec> Decorrelator::tensors(const DecorrelatorParams& params, Index inputs) {
  LATERAL_CHECK(params.rule != nullptr);
  const std::string prefix = tensor_prefix;
  const std::unique_ptr<DecorrelationRule> rule = params.rule(params.rule_params);
  const KeptTensors kept = rule->kept_tensors(params.rule_params.mode);
  const bool has_matrix = kept.R || kept.M;
  std::vector<TensorSpec> all;
  const auto append = [&](const std::vector<TensorSpec>& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  if (kept.R) all.push_back({prefix + "R", TensorRole::feedforward, {inputs, inputs}});
  if (kept.M) all.push_back({prefix + "M", TensorRole::lateral, {inputs, inputs}});
  if (kept.threshold) all.push_back({prefix + "threshold", TensorRole::threshold, {inputs}});
  append(rule->own_tensors(prefix, inputs));
  if (has_matrix || params.demean != Demean::none)
    all.push_back({prefix + "mean", TensorRole::mean, {inputs}});
  if (has_matrix && params.null_directions == NullDirections::freeze)
    all.push_back({prefix + "moment", TensorRole::other, {inputs}});
  if (!kept.M) return all;
  append(SpectrumTracker::tensors(prefix, inputs));
  if (params.warm_start) {
    all.push_back({prefix + "previous", TensorRole::other, {inputs, params.batch}});
    all.push_back({prefix + "previous_error", TensorRole::other, {inputs, params.batch}});
  }
  return all;
}

void Decorrelator::derive_missing(const MissingTensors& missing) {
  const std::string prefix = tensor_prefix;
  const bool has_derived = rule_->derive_missing(prefix, missing, state_, *params_.compute);
  const bool has_new_matrix = has_derived || !missing.contains(prefix + "M");
  if (settles() && has_new_matrix && missing.contains(prefix + "spectrum")) search_spectrum();
}

void Decorrelator::state_loaded() {
  if (settles()) spectrum_.refresh(state_.M, *params_.compute);
}

std::optional<Settled> Decorrelator::forward(ConstMatrixRef in, const Pass& pass, const Matrix& R,
                                             MatrixRef out) {
  const bool shifted = state_.threshold.size() > 0 && !pass.is_difference;
  if (!settles()) {
    if (R.size() == 0)
      out = in;
    else if (pass.batch == 1 && &R == &state_.R)  // by the batch: pieces of it must not differ
      update_and_multiply(state_.R, nullptr, in.col(0), out.col(0));
    else
      params_.compute->apply({R}, in, out);
    if (shifted) out.colwise() -= state_.threshold;
    return std::nullopt;
  }
  if (R.size() == 0 && !shifted) return settle_all(false, in, pass, out);
  drive_.resize(in.rows(), in.cols());
  if (R.size() > 0)
    params_.compute->apply({R}, in, drive_);
  else
    drive_ = in;
  if (shifted) drive_.colwise() -= state_.threshold;
  return settle_all(false, drive_, pass, out);
}

std::optional<Settled> Decorrelator::back(const DecorrelationStep& step, Index first,
                                          ConstMatrixRef G, MatrixRef error_at_z,
                                          Matrix* previous) {
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
  const Pass pass{.batch = step.batch, .first = first, .previous = previous};
  if (R.size() == 0) return settle_all(true, G, pass, error_at_z);
  drive_.resize(G.rows(), G.cols());
  const std::optional<Settled> settled = settle_all(true, G, pass, drive_);
  params_.compute->apply({R, true}, drive_, error_at_z);
  return settled;
}

std::optional<Settled> Decorrelator::settle_all(bool transposed, ConstMatrixRef in,
                                                const Pass& pass, MatrixRef out) {
  const Compute& compute = *params_.compute;
  Matrix* const previous = pass.previous;
  const bool starts_warm =
      previous != nullptr && previous->cols() > 0 && previous->cols() == pass.batch;
  const Index width = compute.samples_per_product() > 0 ? compute.samples_per_product() : in.cols();
  Settled all;
  std::vector<Index> places;  // of the columns in the batch, for the observer
  for (Index column = 0; column < in.cols(); column += width) {
    const Index columns = std::min(width, in.cols() - column);
    const Index sample = pass.first + column;
    auto answer = out.middleCols(column, columns);
    if (starts_warm)
      answer = previous->middleCols(sample, columns);
    else
      answer.setZero();
    SettleObserver observer;
    if (pass.is_watched && observer_)
      observer = [&](int step, ConstMatrixRef x, std::span<const Index> of) {
        places.assign(of.begin(), of.end());
        for (Index& place : places) place += sample;
        observer_(step, x, places);
      };
    const Settled settled =
        settle(params_.settle, *integrator_, spectrum_.bound(), {state_.M, transposed, compute},
               in.middleCols(column, columns), answer, workspace_, observer);
    merge(settled, static_cast<double>(column), static_cast<double>(columns), all);
    if (!starts_warm) continue;
    if (settled.converged)
      previous->middleCols(sample, columns) = answer;
    else
      previous->middleCols(sample, columns).setZero();
  }
  return all;
}

void Decorrelator::subtract_own_mean(MatrixRef error_at_z) {
  if (params_.demean != Demean::batch) return;
  error_sum_.setZero(error_at_z.rows());
  add_columns(error_at_z, error_sum_, *params_.compute);
  error_mean_ = (error_sum_ / static_cast<double>(error_at_z.cols())).cast<Scalar>();
  params_.compute->pass(error_at_z.cols(), error_at_z.size(), [&](Index first, Index columns) {
    error_at_z.middleCols(first, columns).colwise() -= error_mean_;
  });
}

}  // namespace lateral
