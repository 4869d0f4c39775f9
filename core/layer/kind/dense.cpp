// The dense layer: decorrelate, multiply by W, add b and what is added, apply f; learn all of it
// locally.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>

#include "core/check.hpp"
#include "core/layer/divergence_guard.hpp"
#include "core/layer/layer.hpp"
#include "core/layer/layer_probes.hpp"
#include "core/layer/perturbation.hpp"
#include "core/probe/measures.hpp"
#include "core/random.hpp"

namespace lateral::layer_kind {
namespace {

/// Columns of a block of the weight gradient: with 1000 units half a megabyte.
constexpr Index gradient_columns = 128;
/// Columns of W that are checked while they and their moments are still in cache.
constexpr Index checked_columns = 16;

bool columns_finite(const std::vector<TensorView>& tensors, Index first, Index columns) {
  return std::all_of(tensors.begin(), tensors.end(), [&](const TensorView& tensor) {
    return all_finite(
        Eigen::Map<const Matrix>(tensor.data, tensor.rows, tensor.cols).middleCols(first, columns));
  });
}

bool all_columns_finite(const std::vector<TensorView>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const TensorView& tensor) {
    return all_finite(Eigen::Map<const Matrix>(tensor.data, tensor.rows, tensor.cols));
  });
}

/// Matrices of a step; a column a sample of the batch.
struct DenseStep final : LayerStep {
  DecorrelationStep decorrelation;
  Matrix x, a, slope, noise, delta, true_delta, fisher_delta;
  double reward_sum = 0;  // with noise on the weights
  bool has_true_error = false, has_fisher_error = false;
  bool has_learned_decorrelation = false;
};

/// y = f(W x + b + added),  x = R (z − mean).
///   W (units × inputs), b (units), z (inputs × batch), y (units × batch)
class DenseLayer final : public Layer {
 public:
  DenseLayer(const LayerParams& params, std::uint64_t seed, std::uint32_t node);

  std::unique_ptr<LayerStep> make_step() const override { return std::make_unique<DenseStep>(); }
  void begin(LayerStep& step, std::uint64_t number, Index batch) override;
  void forward(LayerStep& step, Index first, ConstMatrixRef z, ConstMatrixRef added,
               MatrixRef y) override;
  void evaluate(ConstMatrixRef z, ConstMatrixRef added, MatrixRef y) override;
  void forward_perturbed(LayerStep& step, Piece piece, ConstMatrixRef dz, ConstMatrixRef d_added,
                         bool own_noise, MatrixRef dy, MatrixRef squared_change) override;
  void receive(LayerStep& step, Index first, Signal kind, ConstMatrixRef signal) override;
  void send_back(LayerStep& step, Piece piece, Signal kind, MatrixRef at_input,
                 MatrixRef at_added) override;
  std::vector<std::pair<std::string, double>> measure(LayerStep& step) override;
  void learn(LayerStep& step, bool measure_update) override;
  void learn_decorrelation(LayerStep& step) override;
  void visit_state(const TensorVisitor& visit) override;
  void derive_missing(const MissingTensors& missing) override {
    decorrelator_.derive_missing(missing);
  }
  void state_loaded() override { decorrelator_.state_loaded(); }
  const std::optional<Divergence>& diverged() const override { return diverged_; }
  std::optional<Settled> evaluate_settled() const override {
    return decorrelator_.evaluate_settled();
  }
  const Matrix& centred(const LayerStep& step) const override {
    return as_dense(step).decorrelation.zc;
  }
  const Matrix& decorrelated(const LayerStep& step) const override { return as_dense(step).x; }
  void watch_settling(SettleObserver observer) override {
    decorrelator_.watch_settling(std::move(observer));
  }

 private:
  static DenseStep& as_dense(LayerStep& step) { return static_cast<DenseStep&>(step); }
  static const DenseStep& as_dense(const LayerStep& step) {
    return static_cast<const DenseStep&>(step);
  }
  const Compute& compute() const { return *params_.decorrelator.compute; }
  bool perturbs_weights() const { return credit_->perturbed_pass() == PerturbedPass::all_weights; }
  VisitTensors whole_state() {
    return [this](const TensorVisitor& visit) { visit_state(visit); };
  }
  /// What the preconditioner keeps.
  VisitTensors curvature() {
    return [this](const TensorVisitor& visit) {
      preconditioner_->visit_state("preconditioner/", visit);
    };
  }

  /// Names what is not finite in a response of step `step`: state that was last changed in step
  /// `changed`, or a, which is then called `quantity`.
  void check_response(bool a_is_finite, const std::optional<Settled>& settled, ConstMatrixRef a,
                      const std::string& quantity, std::uint64_t step, std::uint64_t changed);
  /// dx_ ← R dz and da_ ← W dx_; where dz is empty, dx_ is too and da_ ← 0.
  void propagate_difference(DenseStep& step, Piece piece, ConstMatrixRef dz);
  /// da_ ← da_ + ξ_W (x + dx_) + ξ_b
  void add_weight_noise(const DenseStep& step, Piece piece);
  /// da_ ← da_ + ξ
  void add_unit_noise(DenseStep& step, Piece piece);
  /// δ of the credit rule's signal.
  void assign_credit(DenseStep& step, Index first, ConstMatrixRef signal);
  /// δ ← f'(a) ⊙ error, for the samples from `first` on of delta (units × batch).
  void error_at_a(const DenseStep& step, Index first, ConstMatrixRef error, Matrix& delta) const;
  /// Applies `change` to the state; if it diverges, treats it as params_.diverging prescribes.
  void change_state(DenseStep& step, const std::function<void()>& change);
  void change_weights(DenseStep& step, bool measure_update);
  /// W and b with their moments; whether all of it is finite afterwards.
  bool update_weight(const DenseStep& step, const Operand& scaled_delta);
  bool update_bias();
  /// Names what is not finite after change_weights().
  void find_diverged_weights(const DenseStep& step, const Operand& scaled_delta);
  /// R or M and the means, once a step.
  void change_decorrelation(DenseStep& step);
  /// The whole gradient at once, preconditioned; then the optimizer.
  void learn_preconditioned(const DenseStep& step, const Operand& scaled_delta);
  /// The gradient as the credit rule gives it, for all columns of W.
  void whole_gradient(const DenseStep& step, const Operand& scaled_delta, MatrixRef gradient) const;
  /// The same for the columns from `first` on.
  void gradient_block(const DenseStep& step, const Operand& scaled_delta, Index first,
                      MatrixRef gradient) const;
  /// gradient ← (1/b) δ xᵀ for the columns of W from `first` on.
  ///   scaled_delta: δ / b
  void weight_gradient(const DenseStep& step, const Operand& scaled_delta, Index first,
                       MatrixRef gradient) const;
  double gradient_angle(const DenseStep& step);
  double mean_reward(const DenseStep& step) const {
    return step.reward_sum / static_cast<double>(step.batch);
  }
  double gradient_operations(const DenseStep& step) const {
    return 2.0 * static_cast<double>(weight_.size()) * static_cast<double>(step.batch);
  }

  LayerParams params_;
  std::unique_ptr<Activation> activation_;
  std::unique_ptr<CreditRule> credit_;
  Matrix weight_;
  Vector bias_;
  Matrix feedback_;
  Decorrelator decorrelator_;
  std::unique_ptr<Preconditioner> preconditioner_;
  std::unique_ptr<Optimizer> weight_optimizer_, bias_optimizer_;
  Perturbation perturbation_;
  DivergenceGuard guard_;
  std::uint64_t last_step_ = 0;
  std::optional<Divergence> diverged_;
  // scratch
  Matrix dx_, da_, error_at_x_;
  Matrix scaled_delta_, gradient_, true_gradient_, weight_before_, backward_work_, weight_noise_;
  Vector bias_gradient_;
  std::vector<std::uint16_t> rounded_delta_;
  Matrix evaluate_x_;
};

DenseLayer::DenseLayer(const LayerParams& params, std::uint64_t seed, std::uint32_t node)
    : params_(params),
      decorrelator_(params.decorrelator, params.inputs(), seed, node),
      perturbation_(params.sigma, seed, node),
      guard_(params.diverging, params.change_max) {
  const Index inputs = params.inputs(), units = params.units;
  LATERAL_CHECK(inputs > 0);
  LATERAL_CHECK(units > 0);
  LATERAL_CHECK(params.activation != nullptr);
  LATERAL_CHECK(params.credit != nullptr);
  LATERAL_CHECK(params.preconditioner != nullptr);
  LATERAL_CHECK(params.optimizer != nullptr);
  activation_ = params.activation();
  credit_ = params.credit(params.credit_parameters);
  const double bound = 1.0 / std::sqrt(static_cast<double>(inputs));
  weight_.resize(units, inputs);
  RandomStream(seed, node, 0, Purpose::initial_weight)
      .fill_uniform(weight_, params.initial_gain * bound);
  bias_.resize(units);
  RandomStream(seed, node, 0, Purpose::initial_bias).fill_uniform(bias_, bound);
  if (const std::optional<FeedbackShape> shape =
          credit_->feedback_shape(units, inputs, params.classes, params.is_output)) {
    feedback_.resize(shape->rows, shape->cols);
    RandomStream(seed, node, 0, Purpose::initial_feedback).fill_uniform(feedback_, shape->bound);
  }
  preconditioner_ = params.preconditioner(params.preconditioner_params, units, inputs);
  weight_optimizer_ = params.optimizer(params.optimizer_params, units, inputs);
  bias_optimizer_ = params.optimizer(params.optimizer_params, units, 1);
  bias_gradient_.resize(units);
}

// ---- Forward

void DenseLayer::begin(LayerStep& layer_step, std::uint64_t number, Index batch) {
  DenseStep& step = as_dense(layer_step);
  LATERAL_CHECK(batch > 0);
  step.number = last_step_ = number;
  step.batch = batch;
  step.report = {};
  step.has_true_error = step.has_fisher_error = step.has_learned_decorrelation = false;
  decorrelator_.begin(step.decorrelation, batch);
  step.x.resize(params_.inputs(), batch);
  step.a.resize(params_.units, batch);
}

void DenseLayer::forward(LayerStep& layer_step, Index first, ConstMatrixRef z, ConstMatrixRef added,
                         MatrixRef y) {
  DenseStep& step = as_dense(layer_step);
  LATERAL_CHECK(z.rows() == params_.inputs());
  LATERAL_CHECK(z.cols() > 0);
  auto x = step.x.middleCols(first, z.cols());
  auto a = step.a.middleCols(first, z.cols());
  decorrelator_.forward_train(step.decorrelation, first, z, x);
  step.report.forward_settled = step.decorrelation.forward_settled;
  compute().apply({weight_}, x, a);
  std::atomic<bool> finite = true;
  compute().pass(z.cols(), a.size(), [&](Index column, Index columns) {
    auto here = a.middleCols(column, columns);
    here.colwise() += bias_;
    if (added.size() > 0) here += added.middleCols(column, columns);
    if (!all_finite(here)) finite = false;
    activation_->apply(here, y.middleCols(column, columns));
  });
  check_response(finite, step.report.forward_settled, a, "activity", step.number, step.number - 1);
}

void DenseLayer::evaluate(ConstMatrixRef z, ConstMatrixRef added, MatrixRef y) {
  LATERAL_CHECK(z.rows() == params_.inputs());
  decorrelator_.forward_evaluate(z, evaluate_x_);
  compute().apply({weight_}, evaluate_x_, y);
  y.colwise() += bias_;
  if (added.size() > 0) y += added;
  check_response(all_finite(y), decorrelator_.evaluate_settled(), y, "activity in evaluation",
                 last_step_, last_step_);
  activation_->apply(y, y);
}

void DenseLayer::check_response(bool a_is_finite, const std::optional<Settled>& settled,
                                ConstMatrixRef a, const std::string& quantity, std::uint64_t step,
                                std::uint64_t changed) {
  if (a_is_finite && (!settled || std::isfinite(settled->residual))) return;
  diverged_ = divergence_of(whole_state(), changed);
  if (!diverged_) diverged_ = divergence_of(a, quantity, step);
}

void DenseLayer::forward_perturbed(LayerStep& layer_step, Piece piece, ConstMatrixRef dz,
                                   ConstMatrixRef d_added, bool own_noise, MatrixRef dy,
                                   MatrixRef squared_change) {
  DenseStep& step = as_dense(layer_step);
  propagate_difference(step, piece, dz);
  if (d_added.size() > 0) da_ += d_added;
  if (own_noise) perturbs_weights() ? add_weight_noise(step, piece) : add_unit_noise(step, piece);
  activation_->difference(step.a.middleCols(piece.first, piece.count), da_, dy);
  if (squared_change.size() > 0) squared_change = da_.colwise().squaredNorm();
}

void DenseLayer::propagate_difference(DenseStep& step, Piece piece, ConstMatrixRef dz) {
  da_.resize(params_.units, piece.count);
  if (dz.size() == 0) {
    dx_.resize(0, 0);
    da_.setZero();
    return;
  }
  LATERAL_CHECK(dz.rows() == params_.inputs());
  LATERAL_CHECK(dz.cols() == piece.count);
  dx_.resize(params_.inputs(), piece.count);
  decorrelator_.forward_difference(step.decorrelation, piece.first, dz, dx_);
  step.report.forward_settled = step.decorrelation.forward_settled;
  compute().apply({weight_}, dx_, da_);
}

void DenseLayer::add_weight_noise(const DenseStep& step, Piece piece) {
  if (piece.first == 0) {  // the same noise for all pieces of the batch, which follow each other
    weight_noise_.resize(params_.units, params_.inputs());
    perturbation_.draw_weight_noise(step.number, weight_noise_, compute());
  }
  if (dx_.size() == 0) dx_.setZero(params_.inputs(), piece.count);
  dx_ += step.x.middleCols(piece.first, piece.count);
  compute().add_product(1, {weight_noise_}, dx_, da_);
  Matrix bias_noise(params_.units, 1);
  perturbation_.draw_bias_noise(step.number, bias_noise);
  da_.colwise() += bias_noise.col(0);
}

void DenseLayer::add_unit_noise(DenseStep& step, Piece piece) {
  step.noise.resize(params_.units, step.batch);
  auto noise = step.noise.middleCols(piece.first, piece.count);
  perturbation_.draw_unit_noise(step.number, piece.first, noise, compute());
  da_ += noise;
  if (credit_->sees_whole_change()) noise = da_;
}

// ---- Signals

void DenseLayer::receive(LayerStep& layer_step, Index first, Signal kind, ConstMatrixRef signal) {
  DenseStep& step = as_dense(layer_step);
  switch (kind) {
    case Signal::true_error:
      step.has_true_error = true;
      return error_at_a(step, first, signal, step.true_delta);
    case Signal::fisher_error:
      step.has_fisher_error = true;
      if (preconditioner_->fisher_errors() == FisherErrors::basis)
        step.fisher_delta = signal;  // f' = 1
      else
        error_at_a(step, first, signal, step.fisher_delta);
      return;
    case Signal::error:
    case Signal::output_error:
    case Signal::reward:
      LATERAL_CHECK(kind == credit_->signal());
      return assign_credit(step, first, signal);
  }
}

void DenseLayer::assign_credit(DenseStep& step, Index first, ConstMatrixRef signal) {
  const Index b = signal.cols();
  LATERAL_CHECK(first + b <= step.batch);
  if (perturbs_weights()) {
    if (first == 0) step.reward_sum = 0;
    step.reward_sum += signal.cast<double>().sum();
    return;
  }
  step.slope.resize(params_.units, step.batch);
  step.delta.resize(params_.units, step.batch);
  auto slope = step.slope.middleCols(first, b);
  auto delta = step.delta.middleCols(first, b);
  compute().pass(b, delta.size(), [&](Index column, Index columns) {
    auto slope_here = slope.middleCols(column, columns);
    activation_->slope(step.a.middleCols(first + column, columns), slope_here);
    const auto noise = step.noise.middleCols(credit_->perturbs() ? first + column : 0,
                                             credit_->perturbs() ? columns : 0);
    credit_->assign({signal.middleCols(column, columns), slope_here, noise, feedback_,
                     params_.is_output, params_.sigma},
                    delta.middleCols(column, columns));
  });
}

void DenseLayer::error_at_a(const DenseStep& step, Index first, ConstMatrixRef error,
                            Matrix& delta) const {
  delta.resize(params_.units, step.batch);
  auto here = delta.middleCols(first, error.cols());
  activation_->slope(step.a.middleCols(first, error.cols()), here);
  here.array() *= error.array();
}

void DenseLayer::send_back(LayerStep& layer_step, Piece piece, Signal kind, MatrixRef at_input,
                           MatrixRef at_added) {
  DenseStep& step = as_dense(layer_step);
  const auto [first, b] = piece;
  const Matrix& all = kind == Signal::true_error     ? step.true_delta
                      : kind == Signal::fisher_error ? step.fisher_delta
                                                     : step.delta;
  const auto delta = all.middleCols(first, b);
  if (at_added.size() > 0) at_added = delta;
  if (at_input.size() == 0) return;
  if (kind != Signal::error) {
    error_at_x_.resize(params_.inputs(), b);
    compute().apply({weight_, true}, delta, error_at_x_);
    return decorrelator_.backward_probe(step.decorrelation, error_at_x_, at_input);
  }
  LATERAL_CHECK(credit_->signal() == Signal::error);
  const Operand backward = credit_->backward(weight_, feedback_, backward_work_);
  if (!params_.feedback_through_decorrelation) return compute().apply(backward, delta, at_input);
  error_at_x_.resize(params_.inputs(), b);
  compute().apply(backward, delta, error_at_x_);
  decorrelator_.backward(step.decorrelation, first, error_at_x_, at_input);
  step.report.backward_settled = step.decorrelation.backward_settled;
}

// ---- Learning

void DenseLayer::learn(LayerStep& layer_step, bool measure_update) {
  DenseStep& step = as_dense(layer_step);
  change_state(step, [&] {
    change_weights(step, measure_update);
    if (!diverged_) change_decorrelation(step);
  });
}

void DenseLayer::learn_decorrelation(LayerStep& layer_step) {
  DenseStep& step = as_dense(layer_step);
  change_state(step, [&] { change_decorrelation(step); });
}

void DenseLayer::change_state(DenseStep& step, const std::function<void()>& change) {
  StepReport& report = step.report;
  const bool was_shortened = report.shortened;
  if (guard_.apply(whole_state(), step.number, compute(), change, diverged_)) return;
  state_loaded();
  report.decorrelation = {};
  report.weight_update_norm = 0;
  report.shortened = was_shortened;
  report.skipped = true;
}

void DenseLayer::change_weights(DenseStep& step, bool measure_update) {
  if (perturbs_weights()) {
    bias_gradient_.resize(params_.units);
    perturbation_.bias_perturbation_gradient(step.number, mean_reward(step), bias_gradient_);
    scaled_delta_.resize(0, 0);
  } else {
    scaled_delta_ = 1 / static_cast<Scalar>(step.batch) * step.delta;
    bias_gradient_ = scaled_delta_.rowwise().sum();
  }
  const Operand scaled_delta = compute().prepared(scaled_delta_, rounded_delta_);
  if (measure_update) weight_before_ = weight_;
  const bool weight_is_finite = update_weight(step, scaled_delta);
  const bool bias_is_finite = update_bias();
  if (!weight_is_finite || !bias_is_finite) return find_diverged_weights(step, scaled_delta);
  if (guard_.shorten(whole_state(), {TensorRole::weight}, TensorRole::bias, step.number, diverged_))
    step.report.shortened = true;
  if (measure_update)
    step.report.weight_update_norm = static_cast<double>((weight_ - weight_before_).norm());
}

bool DenseLayer::update_weight(const DenseStep& step, const Operand& scaled_delta) {
  const Index inputs = params_.inputs();
  std::vector<TensorView> wide, small;  // W and its moments; what else the optimizer keeps
  visit_matrix([&](const TensorView& tensor) { wide.push_back(tensor); }, "weight", weight_);
  weight_optimizer_->visit_state("", [&](const TensorView& tensor) {
    (tensor.cols == inputs ? wide : small).push_back(tensor);
  });
  weight_optimizer_->begin_step();
  if (preconditioner_->changes_gradient()) {
    learn_preconditioned(step, scaled_delta);
    return all_columns_finite(wide) && all_columns_finite(small) &&
           !divergence_of(curvature(), step.number);
  }
  // Each block of the gradient is used while it is still in cache.
  std::atomic<bool> finite = true;
  compute().for_columns(inputs, gradient_columns, gradient_operations(step),
                        [&](Index first, Index columns) {
                          thread_local Matrix gradient;
                          gradient.resize(params_.units, columns);
                          gradient_block(step, scaled_delta, first, gradient);
                          for (Index i = 0; i < columns; i += checked_columns) {
                            const Index n = std::min(checked_columns, columns - i);
                            weight_optimizer_->update(first + i, gradient.middleCols(i, n),
                                                      weight_.middleCols(first + i, n));
                            if (!columns_finite(wide, first + i, n)) finite = false;
                          }
                        });
  return finite && all_columns_finite(small);
}

bool DenseLayer::update_bias() {
  bias_optimizer_->step(bias_gradient_, bias_);
  std::vector<TensorView> moments;
  bias_optimizer_->visit_state("", [&](const TensorView& tensor) { moments.push_back(tensor); });
  return all_columns_finite(moments) && all_finite(bias_);
}

void DenseLayer::find_diverged_weights(const DenseStep& step, const Operand& scaled_delta) {
  gradient_.resize(params_.units, params_.inputs());
  whole_gradient(step, scaled_delta, gradient_);
  diverged_ = divergence_of(gradient_, "gradient of W", step.number);
  if (!diverged_) diverged_ = divergence_of(curvature(), step.number);
  if (!diverged_) diverged_ = divergence_of(bias_gradient_, "gradient of b", step.number);
  if (!diverged_) diverged_ = divergence_of(whole_state(), step.number);
}

void DenseLayer::learn_preconditioned(const DenseStep& step, const Operand& scaled_delta) {
  const Index inputs = params_.inputs();
  gradient_.resize(params_.units, inputs + 1);
  whole_gradient(step, scaled_delta, gradient_.leftCols(inputs));
  gradient_.rightCols(1) = bias_gradient_;
  preconditioner_->apply(
      {step.number, step.x, step.delta,
       step.fisher_delta.leftCols(step.has_fisher_error ? step.fisher_delta.cols() : 0), compute()},
      gradient_);
  weight_optimizer_->update(0, gradient_.leftCols(inputs), weight_);
  bias_gradient_ = gradient_.rightCols(1);
}

void DenseLayer::whole_gradient(const DenseStep& step, const Operand& scaled_delta,
                                MatrixRef gradient) const {
  compute().for_columns(params_.inputs(), gradient_columns, gradient_operations(step),
                        [&](Index first, Index columns) {
                          gradient_block(step, scaled_delta, first,
                                         gradient.middleCols(first, columns));
                        });
}

void DenseLayer::gradient_block(const DenseStep& step, const Operand& scaled_delta, Index first,
                                MatrixRef gradient) const {
  if (perturbs_weights())
    perturbation_.weight_perturbation_gradient(step.number, mean_reward(step), first, gradient);
  else
    weight_gradient(step, scaled_delta, first, gradient);
}

void DenseLayer::weight_gradient(const DenseStep& step, const Operand& scaled_delta, Index first,
                                 MatrixRef gradient) const {
  compute().multiply(scaled_delta, {step.x.middleRows(first, gradient.cols()), true}, gradient);
}

void DenseLayer::change_decorrelation(DenseStep& step) {
  if (step.has_learned_decorrelation) return;
  step.report.decorrelation = decorrelator_.learn(step.decorrelation);
  step.has_learned_decorrelation = true;
  if (const Matrix* factor = step.report.decorrelation.weight_factor) {
    weight_before_ = weight_;
    weight_.setZero();
    compute().add_product(1, {weight_before_}, *factor, weight_);
    if (!all_finite(weight_)) diverged_ = divergence_of(whole_state(), step.number);
  } else if (params_.diverging == Diverging::shorten) {
    if (guard_.shorten(whole_state(), {TensorRole::feedforward, TensorRole::lateral},
                       TensorRole::threshold, step.number, diverged_))
      step.report.shortened = true;
    if (step.report.shortened) state_loaded();
  }
}

// ---- Probes and state

double DenseLayer::gradient_angle(const DenseStep& step) {
  gradient_.resize(params_.units, params_.inputs());
  true_gradient_.resize(params_.units, params_.inputs());
  const auto whole = [&](const Matrix& delta, Matrix& gradient) {
    scaled_delta_ = 1 / static_cast<Scalar>(step.batch) * delta;
    const Operand factor = compute().prepared(scaled_delta_, rounded_delta_);
    compute().for_columns(params_.inputs(), gradient_columns, gradient_operations(step),
                          [&](Index first, Index columns) {
                            weight_gradient(step, factor, first,
                                            gradient.middleCols(first, columns));
                          });
  };
  whole(step.true_delta, true_gradient_);
  if (perturbs_weights())
    whole_gradient(step, {true_gradient_}, gradient_);  // which reads no δ
  else
    whole(step.delta, gradient_);
  return angle_degrees(gradient_, true_gradient_);
}

std::vector<std::pair<std::string, double>> DenseLayer::measure(LayerStep& layer_step) {
  DenseStep& step = as_dense(layer_step);
  std::vector<std::pair<std::string, double>> found;
  if (step.has_true_error) found.emplace_back("gradient_angle_degrees", gradient_angle(step));
  Matrix y = step.a.leftCols(std::min(step.a.cols(), measured_samples_max));
  activation_->apply(y, y);
  const Matrix none;
  const bool has_true_delta = credit_->is_exact() || step.has_true_error;
  const auto probes = probe_layer(
      {step.decorrelation.zc, step.x, y, weight_, feedback_, perturbs_weights() ? none : step.delta,
       !has_true_delta       ? none
       : credit_->is_exact() ? step.delta
                             : step.true_delta,
       decorrelator_.spectrum(),
       [&](const Matrix& V) { return decorrelator_.through(step.decorrelation, V); }});
  found.insert(found.end(), probes.begin(), probes.end());
  return found;
}

void DenseLayer::visit_state(const TensorVisitor& visit) {
  visit_matrix(visit, "weight", weight_, TensorRole::weight);
  visit_vector(visit, "bias", bias_, TensorRole::bias);
  if (feedback_.size() > 0) visit_matrix(visit, "feedback", feedback_, TensorRole::feedback);
  decorrelator_.visit_state(visit);
  curvature()(visit);
  weight_optimizer_->visit_state("optimizer/weight", visit);
  bias_optimizer_->visit_state("optimizer/bias", visit);
}

class Dense final : public LayerKind {
 public:
  std::string summary() const override {
    return "y = f(W x + b + added): every unit reads all inputs, decorrelated: x = R (z - mean)";
  }
  std::string refusal(const LayerParams& params) const override {
    return params.units > 0 ? "" : "no units, expected units: N";
  }
  Shape output_shape(const LayerParams& params) const override { return {params.units, 1, 1}; }

  std::vector<TensorSpec> tensors(const LayerParams& params) const override {
    const Index inputs = params.inputs(), units = params.units;
    std::vector<TensorSpec> all{{"weight", TensorRole::weight, {units, inputs}},
                                {"bias", TensorRole::bias, {units}}};
    if (const auto shape = params.credit(params.credit_parameters)
                               ->feedback_shape(units, inputs, params.classes, params.is_output))
      all.push_back({"feedback", TensorRole::feedback, {shape->rows, shape->cols}});
    const auto append = [&](const std::vector<TensorSpec>& more) {
      all.insert(all.end(), more.begin(), more.end());
    };
    append(Decorrelator::tensors(params.decorrelator, inputs));
    append(params.preconditioner(params.preconditioner_params, 1, 1)
               ->tensors("preconditioner/", units, inputs));
    const auto optimizer = params.optimizer(params.optimizer_params, 1, 1);
    append(optimizer->tensors("optimizer/weight", units, inputs));
    append(optimizer->tensors("optimizer/bias", units, 1));
    return all;
  }

  std::unique_ptr<Layer> make(const LayerParams& params, std::uint64_t seed,
                              std::uint32_t node) const override {
    return std::make_unique<DenseLayer>(params, seed, node);
  }
};

}  // namespace

const LayerKind& dense() {
  static const Dense kind;
  return kind;
}

}  // namespace lateral::layer_kind
