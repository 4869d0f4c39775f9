// The steps of a dense layer.
#include "core/layer/dense.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

#include "core/check.hpp"
#include "core/probe/measures.hpp"
#include "core/random.hpp"

namespace lateral {
namespace {

/// Columns of a block of the weight gradient: with 1000 units half a megabyte.
constexpr Index gradient_columns = 128;
/// Columns of W that are looked at while they and their moments are still in cache.
constexpr Index checked_columns = 16;

bool columns_finite(const TensorView& tensor, Index first, Index columns) {
  return all_finite(
      Eigen::Map<const Matrix>(tensor.data, tensor.rows, tensor.cols).middleCols(first, columns));
}

bool columns_finite(const std::vector<TensorView>& tensors, Index first, Index columns) {
  return std::all_of(tensors.begin(), tensors.end(), [&](const TensorView& tensor) {
    return columns_finite(tensor, first, columns);
  });
}

}  // namespace

DenseLayer::DenseLayer(const DenseLayerParams& params, std::uint64_t seed, std::uint32_t node)
    : params_(params),
      seed_(seed),
      node_(node),
      decorrelator_(params.decorrelator, params.inputs, seed, node) {
  LATERAL_CHECK(params.inputs > 0);
  LATERAL_CHECK(params.units > 0);
  LATERAL_CHECK(params.activation != nullptr);
  LATERAL_CHECK(params.credit != nullptr);
  LATERAL_CHECK(params.preconditioner != nullptr);
  LATERAL_CHECK(params.optimizer != nullptr);
  activation_ = params.activation();
  credit_ = params.credit(params.credit_parameters);
  const double bound = 1.0 / std::sqrt(static_cast<double>(params.inputs));
  weight_.resize(params.units, params.inputs);
  RandomStream(seed, node, 0, Purpose::initial_weight)
      .fill_uniform(weight_, params.initial_gain * bound);
  bias_.resize(params.units);
  RandomStream(seed, node, 0, Purpose::initial_bias).fill_uniform(bias_, bound);
  if (const std::optional<FeedbackShape> shape =
          credit_->feedback_shape(params.units, params.inputs, params.classes, params.is_output)) {
    feedback_.resize(shape->rows, shape->cols);
    RandomStream(seed, node, 0, Purpose::initial_feedback).fill_uniform(feedback_, shape->bound);
  }
  preconditioner_ =
      params.preconditioner(params.preconditioner_params, params.units, params.inputs);
  weight_optimizer_ = params.optimizer(params.optimizer_params, params.units, params.inputs);
  bias_optimizer_ = params.optimizer(params.optimizer_params, params.units, 1);
  steps_.resize(static_cast<std::size_t>(params.decorrelator.steps_in_flight));
  bias_gradient_.resize(params.units);
}

const Matrix& DenseLayer::respond_train(ConstMatrixRef z, const Part& part) {
  LATERAL_CHECK(z.rows() == params_.inputs);
  LATERAL_CHECK(z.cols() > 0);
  part_ = part;
  Step& step = this->step();
  decorrelator_.forward_train(z, step.x, part);
  step.report = {};
  step.decorrelation_learned = false;
  step.has_fisher_error = false;
  step.report.forward_settled = decorrelator_.forward_settled();
  step.a.resize(params_.units, part.batch);
  y_.resize(params_.units, z.cols());
  auto a = step.a.middleCols(part.first, z.cols());
  compute().apply({weight_}, step.x.middleCols(part.first, z.cols()), a);
  std::atomic<bool> finite = true;
  compute().pass(z.cols(), a.size(), [&](Index first, Index columns) {
    a.middleCols(first, columns).colwise() += bias_;
    if (!all_finite(a.middleCols(first, columns))) finite = false;
    activation_->apply(a.middleCols(first, columns), y_.middleCols(first, columns));
  });
  check_response(finite, step.report.forward_settled, a, part.step - 1, "activity");
  return y_;
}

void DenseLayer::about(const Part& part) {
  part_ = part;
  decorrelator_.about(part);
}

const Matrix& DenseLayer::respond_evaluate(ConstMatrixRef z) {
  LATERAL_CHECK(z.rows() == params_.inputs);
  decorrelator_.forward_evaluate(z, evaluate_x_);
  evaluate_y_.resize(params_.units, z.cols());
  compute().apply({weight_}, evaluate_x_, evaluate_y_);
  evaluate_y_.colwise() += bias_;
  check_response(all_finite(evaluate_y_), decorrelator_.evaluate_settled(), evaluate_y_, part_.step,
                 "activity in evaluation");
  activation_->apply(evaluate_y_, evaluate_y_);
  return evaluate_y_;
}

void DenseLayer::check_response(bool a_is_finite, const std::optional<Settled>& settled,
                                ConstMatrixRef a, std::uint64_t before,
                                const std::string& quantity) {
  if (a_is_finite && (!settled || std::isfinite(settled->residual))) return;
  diverged_ = divergence_of(whole_state(), before);
  if (!diverged_) diverged_ = divergence_of(a, quantity, part_.step);
}

void DenseLayer::propagate_difference(ConstMatrixRef dz) {
  const Index b = y_.cols();
  da_.resize(params_.units, b);
  if (dz.size() == 0) {
    dx_.resize(0, 0);
    da_.setZero();
    return;
  }
  LATERAL_CHECK(dz.rows() == params_.inputs);
  LATERAL_CHECK(dz.cols() == b);
  decorrelator_.forward_difference(dz, dx_);
  step().report.forward_settled = decorrelator_.forward_settled();
  compute().apply({weight_}, dx_, da_);
}

const Matrix& DenseLayer::difference_of_activity() {
  dy_.resize(params_.units, da_.cols());
  activation_->difference(step().a.middleCols(part_.first, da_.cols()), da_, dy_);
  return dy_;
}

const Matrix& DenseLayer::relay_perturbed(ConstMatrixRef dz) {
  propagate_difference(dz);
  return difference_of_activity();
}

const Matrix& DenseLayer::respond_perturbed(ConstMatrixRef dz) {
  LATERAL_CHECK(credit_->perturbs());
  constexpr double operations_of_a_number = 100;
  Step& step = this->step();
  propagate_difference(dz);
  const Index b = da_.cols();
  if (shakes_weights()) {
    weight_noise_.resize(params_.units, params_.inputs);
    const RandomStream random(seed_, node_, part_.step, Purpose::weight_noise);
    if (part_.first == 0)  // the same for all pieces of the batch, which follow each other
      compute().for_columns(params_.inputs, gradient_columns,
                            operations_of_a_number * static_cast<double>(weight_noise_.size()),
                            [&](Index first, Index columns) {
                              random.fill_normal(weight_noise_.middleCols(first, columns),
                                                 params_.sigma,
                                                 static_cast<std::uint64_t>(first * params_.units));
                            });
    Matrix bias_noise(params_.units, 1);
    RandomStream(seed_, node_, part_.step, Purpose::bias_noise)
        .fill_normal(bias_noise, params_.sigma);
    if (dx_.size() == 0) dx_.setZero(params_.inputs, b);
    dx_ += step.x.middleCols(part_.first, b);
    compute().add_product(1, {weight_noise_}, dx_, da_);
    da_.colwise() += bias_noise.col(0);
    return difference_of_activity();
  }
  step.noise.resize(params_.units, part_.batch);
  auto noise = step.noise.middleCols(part_.first, b);
  const RandomStream random(seed_, node_, part_.step, Purpose::node_noise);
  compute().for_columns(b, 32, operations_of_a_number * static_cast<double>(noise.size()),
                        [&](Index first, Index columns) {
                          random.fill_normal(
                              noise.middleCols(first, columns), params_.sigma,
                              static_cast<std::uint64_t>((part_.first + first) * params_.units));
                        });
  da_ += noise;
  if (credit_->sees_whole_change()) noise = da_;
  return difference_of_activity();
}

const Matrix& DenseLayer::squared_change() {
  squared_change_ = da_.colwise().squaredNorm();
  return squared_change_;
}

void DenseLayer::receive_credit(ConstMatrixRef signal) {
  Step& step = this->step();
  const Index b = signal.cols();
  LATERAL_CHECK(part_.first + b <= part_.batch);
  samples_ = b;
  if (shakes_weights()) {
    if (part_.first == 0) step.reward_sum = 0;
    step.reward_sum += signal.cast<double>().sum();
    return;
  }
  step.slope.resize(params_.units, part_.batch);
  step.delta.resize(params_.units, part_.batch);
  auto slope = step.slope.middleCols(part_.first, b);
  auto delta = step.delta.middleCols(part_.first, b);
  compute().pass(b, delta.size(), [&](Index first, Index columns) {
    auto slope_here = slope.middleCols(first, columns);
    activation_->slope(step.a.middleCols(part_.first + first, columns), slope_here);
    const auto noise = step.noise.middleCols(credit_->perturbs() ? part_.first + first : 0,
                                             credit_->perturbs() ? columns : 0);
    credit_->assign({signal.middleCols(first, columns), slope_here, noise, feedback_,
                     params_.is_output, params_.sigma},
                    delta.middleCols(first, columns));
  });
}

const Matrix& DenseLayer::pass_back() {
  LATERAL_CHECK(credit_->signal() == Signal::error);
  error_at_x_.resize(params_.inputs, samples_);
  compute().apply(credit_->backward(weight_, feedback_, backward_work_),
                  step().delta.middleCols(part_.first, samples_), error_at_x_);
  if (!params_.feedback_through_decorrelation) return error_at_x_;
  decorrelator_.backward(error_at_x_, error_at_z_);
  step().report.backward_settled = decorrelator_.backward_settled();
  return error_at_z_;
}

void DenseLayer::learn() {
  change_state([this] {
    change_weights();
    if (!diverged_) change_decorrelation();
  });
}

void DenseLayer::learn_decorrelation() {
  change_state([this] { change_decorrelation(); });
}

void DenseLayer::change_state(const std::function<void()>& change) {
  if (params_.diverging == Diverging::stop) return change();
  StepReport& report = step().report;
  const bool shortened = report.shortened;
  kept_.keep(whole_state(), compute());
  change();
  if (!diverged_) diverged_ = divergence_of(whole_state(), part_.step);
  if (!diverged_) return;
  kept_.put_back(whole_state(), compute());
  state_loaded();
  diverged_.reset();
  report.decorrelation = {};
  report.weight_update_norm = 0;
  report.shortened = shortened;
  report.skipped = true;
}

void DenseLayer::shorten_change(Names limited, std::string_view along) {
  const auto is_limited = [&](const TensorView& tensor) {
    return std::find(limited.begin(), limited.end(), tensor.name) != limited.end();
  };
  double largest = 0;
  visit_state([&](const TensorView& tensor) {
    if (is_limited(tensor)) largest = std::max(largest, kept_.relative_change(tensor));
  });
  int halvings = 0;
  while (halvings <= halvings_max && std::ldexp(largest, -halvings) > params_.change_max)
    ++halvings;
  if (halvings == 0) return;
  if (halvings > halvings_max) {
    diverged_ = {"change of " + std::string(*limited.begin()), part_.step, largest};
    return;
  }
  const auto factor = static_cast<Scalar>(std::ldexp(1.0, -halvings));
  visit_state([&](const TensorView& tensor) {
    if (is_limited(tensor) || tensor.name == along) kept_.shorten(tensor, factor);
  });
  step().report.shortened = true;
}

void DenseLayer::change_weights() {
  Step& step = this->step();
  if (shakes_weights()) {
    bias_gradient_.resize(params_.units);
    RandomStream(seed_, node_, part_.step, Purpose::bias_noise)
        .fill_normal(bias_gradient_, params_.sigma);
    bias_gradient_ *= reward_scale();
    scaled_delta_.resize(0, 0);
  } else {
    scaled_delta_ = 1 / static_cast<Scalar>(part_.batch) * step.delta;
    bias_gradient_ = scaled_delta_.rowwise().sum();
  }
  const Operand delta = compute().prepared(scaled_delta_, rounded_delta_);
  if (measure_update_) weight_before_ = weight_;
  std::vector<TensorView> wide, small;  // W and its moments; the rest
  visit_matrix([&](const TensorView& tensor) { wide.push_back(tensor); }, "weight", weight_);
  weight_optimizer_->visit_state("", [&](const TensorView& tensor) {
    (tensor.cols == params_.inputs ? wide : small).push_back(tensor);
  });
  std::atomic<bool> finite = true;
  weight_optimizer_->begin_step();
  if (preconditioner_->changes_gradient()) {
    learn_preconditioned(delta);
    finite = columns_finite(wide, 0, params_.inputs) && !divergence_of(curvature(), part_.step);
  } else {
    // Each block of the gradient is used up while it is still in cache.
    compute().for_columns(params_.inputs, gradient_columns, gradient_operations(),
                          [&](Index first, Index columns) {
                            thread_local Matrix gradient;
                            gradient.resize(params_.units, columns);
                            if (shakes_weights())
                              shaken_gradient(first, columns, gradient);
                            else
                              weight_gradient(delta, first, columns, gradient);
                            for (Index i = 0; i < columns; i += checked_columns) {
                              const Index n = std::min(checked_columns, columns - i);
                              weight_optimizer_->update(first + i, gradient.middleCols(i, n),
                                                        weight_.middleCols(first + i, n));
                              if (!columns_finite(wide, first + i, n)) finite = false;
                            }
                          });
  }
  bias_optimizer_->step(bias_gradient_, bias_);
  bias_optimizer_->visit_state("", [&](const TensorView& tensor) { small.push_back(tensor); });
  for (const TensorView& tensor : small)
    if (!columns_finite(tensor, 0, tensor.cols)) finite = false;
  if (!finite || !all_finite(bias_)) return find_diverged_weights(delta);
  if (params_.diverging == Diverging::shorten) shorten_change({"weight"}, "bias");
  if (measure_update_)
    step.report.weight_update_norm = static_cast<double>((weight_ - weight_before_).norm());
}

void DenseLayer::find_diverged_weights(const Operand& scaled_delta) {
  gradient_.resize(params_.units, params_.inputs);
  whole_gradient(scaled_delta, gradient_);
  diverged_ = divergence_of(gradient_, "gradient of W", part_.step);
  if (!diverged_) diverged_ = divergence_of(curvature(), part_.step);
  if (!diverged_) diverged_ = divergence_of(bias_gradient_, "gradient of b", part_.step);
  if (!diverged_) diverged_ = divergence_of(whole_state(), part_.step);
}

void DenseLayer::learn_preconditioned(const Operand& scaled_delta) {
  const Step& step = this->step();
  gradient_.resize(params_.units, params_.inputs + 1);
  whole_gradient(scaled_delta, gradient_.leftCols(params_.inputs));
  gradient_.rightCols(1) = bias_gradient_;
  preconditioner_->apply(
      {part_.step, step.x, step.delta,
       step.fisher_delta.leftCols(step.has_fisher_error ? step.fisher_delta.cols() : 0), compute()},
      gradient_);
  weight_optimizer_->update(0, gradient_.leftCols(params_.inputs), weight_);
  bias_gradient_ = gradient_.rightCols(1);
}

void DenseLayer::whole_gradient(const Operand& scaled_delta, MatrixRef gradient) const {
  compute().for_columns(params_.inputs, gradient_columns, gradient_operations(),
                        [&](Index first, Index columns) {
                          auto block = gradient.middleCols(first, columns);
                          if (shakes_weights())
                            shaken_gradient(first, columns, block);
                          else
                            weight_gradient(scaled_delta, first, columns, block);
                        });
}

void DenseLayer::change_decorrelation() {
  Step& step = this->step();
  if (step.decorrelation_learned) return;
  step.report.decorrelation = decorrelator_.learn();
  step.decorrelation_learned = true;
  if (const Matrix* factor = step.report.decorrelation.weight_factor) {
    weight_before_ = weight_;
    weight_.setZero();
    compute().add_product(1, {weight_before_}, *factor, weight_);
    if (!all_finite(weight_)) diverged_ = divergence_of(whole_state(), part_.step);
  } else if (params_.diverging == Diverging::shorten) {
    shorten_change({"decorrelation/R", "decorrelation/M"}, "decorrelation/threshold");
    if (step.report.shortened) state_loaded();
  }
}

void DenseLayer::receive_true_error(ConstMatrixRef true_error) {
  Step& step = this->step();
  step.true_delta.resize(params_.units, part_.batch);
  auto delta = step.true_delta.middleCols(part_.first, true_error.cols());
  activation_->slope(step.a.middleCols(part_.first, true_error.cols()), delta);
  delta.array() *= true_error.array();
  samples_ = true_error.cols();
}

const Matrix& DenseLayer::pass_back_true() {
  return pass_back_by_weight(step().true_delta.middleCols(part_.first, samples_));
}

void DenseLayer::receive_fisher_error(ConstMatrixRef error) {
  Step& step = this->step();
  samples_ = error.cols();
  step.has_fisher_error = true;
  if (preconditioner_->fisher_errors() == FisherErrors::basis) {  // f' = 1
    step.fisher_delta = error;
    return;
  }
  step.fisher_delta.resize(params_.units, part_.batch);
  auto delta = step.fisher_delta.middleCols(part_.first, samples_);
  activation_->slope(step.a.middleCols(part_.first, samples_), delta);
  delta.array() *= error.array();
}

const Matrix& DenseLayer::pass_back_fisher() {
  const bool is_basis = preconditioner_->fisher_errors() == FisherErrors::basis;
  return pass_back_by_weight(step().fisher_delta.middleCols(is_basis ? 0 : part_.first, samples_));
}

const Matrix& DenseLayer::pass_back_by_weight(ConstMatrixRef delta) {
  error_at_x_.resize(params_.inputs, delta.cols());
  compute().apply({weight_, true}, delta, error_at_x_);
  decorrelator_.backward_probe(error_at_x_, error_at_z_);
  return error_at_z_;
}

Scalar DenseLayer::reward_scale() const {
  return static_cast<Scalar>(step().reward_sum / static_cast<double>(part_.batch) /
                             (params_.sigma * params_.sigma));
}

void DenseLayer::shaken_gradient(Index first, Index columns, MatrixRef gradient) const {
  // Drawn anew: what steps in flight shook is not kept.
  RandomStream(seed_, node_, part_.step, Purpose::weight_noise)
      .fill_normal(gradient.leftCols(columns), params_.sigma,
                   static_cast<std::uint64_t>(first * params_.units));
  gradient.leftCols(columns) *= reward_scale();
}

double DenseLayer::gradient_angle() {
  gradient_.resize(params_.units, params_.inputs);
  true_gradient_.resize(params_.units, params_.inputs);
  const auto whole = [&](const Matrix& delta, Matrix& gradient) {
    scaled_delta_ = 1 / static_cast<Scalar>(part_.batch) * delta;
    const Operand factor = compute().prepared(scaled_delta_, rounded_delta_);
    compute().for_columns(
        params_.inputs, gradient_columns, gradient_operations(), [&](Index first, Index columns) {
          weight_gradient(factor, first, columns, gradient.middleCols(first, columns));
        });
  };
  whole(step().true_delta, true_gradient_);
  if (shakes_weights())
    shaken_gradient(0, params_.inputs, gradient_);
  else
    whole(step().delta, gradient_);
  return angle_degrees(gradient_, true_gradient_);
}

std::vector<std::pair<std::string, double>> DenseLayer::measures() const {
  const Step& step = this->step();
  const Index samples = std::min(step.x.cols(), measured_samples_max);
  const auto before = decorrelator_.centred().leftCols(samples);
  const auto after = step.x.leftCols(samples);
  std::vector<std::pair<std::string, double>> found{
      {"correlation_before", mean_squared_correlation(before)},
      {"correlation_after", mean_squared_correlation(after)},
      {"effective_rank_before", effective_rank(before)},
      {"effective_rank_after", effective_rank(after)}};
  const auto norm = static_cast<double>(before.norm());
  if (norm > 0) found.emplace_back("activity_norm", static_cast<double>(after.norm()) / norm);
  Matrix y = step.a.leftCols(samples);
  activation_->apply(y, y);
  found.emplace_back("dead_units", constant_share(y));
  const bool small =
      params_.inputs <= decomposed_units_max && params_.units <= decomposed_units_max;
  if (small && samples > params_.inputs) {
    found.emplace_back("condition_number_before", condition_number(before));
    found.emplace_back("condition_number_after", condition_number(after));
  }
  if (const std::optional<SpectrumBound> bound = decorrelator_.spectrum()) {
    found.emplace_back("spectrum_smallest", bound->smallest);
    found.emplace_back("spectrum_largest", bound->largest);
    found.emplace_back("stability_margin", bound->smallest / bound->largest);
  }
  if (feedback_.rows() == weight_.rows() && feedback_.cols() == weight_.cols())
    found.emplace_back("weight_alignment_degrees", angle_degrees(weight_, feedback_));
  const Matrix& delta = credit_->is_exact() ? step.delta : step.true_delta;
  if (small && samples > params_.inputs && !shakes_weights() && delta.cols() == step.x.cols()) {
    // The change of the weights as the input before decorrelation sees them: Δ(W R) = ΔW R.
    const Matrix change = decorrelator_.through(step.delta.leftCols(samples) * after.transpose() /
                                                static_cast<Scalar>(samples));
    for (const auto& [name, both] :
         {std::pair<const char*, bool>{"natural_gradient_angle_degrees", true},
          {"input_natural_angle_degrees", false}})
      found.emplace_back(
          name,
          angle_degrees(change,
                        natural_gradient(delta.leftCols(samples), before, both).cast<Scalar>()));
  }
  return found;
}

void DenseLayer::visit_state(const TensorVisitor& visit) {
  visit_matrix(visit, "weight", weight_);
  visit_vector(visit, "bias", bias_);
  if (feedback_.size() > 0) visit_matrix(visit, "feedback", feedback_);
  decorrelator_.visit_state(visit);
  curvature()(visit);
  weight_optimizer_->visit_state("optimizer/weight", visit);
  bias_optimizer_->visit_state("optimizer/bias", visit);
}

void DenseLayer::weight_gradient(const Operand& scaled_delta, Index first, Index columns,
                                 MatrixRef gradient) const {
  compute().multiply(scaled_delta, {step().x.middleRows(first, columns), true}, gradient);
}

double DenseLayer::gradient_operations() const {
  return 2.0 * static_cast<double>(weight_.size()) * static_cast<double>(part_.batch);
}

}  // namespace lateral
