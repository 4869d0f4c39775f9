// The steps of a dense layer.
#include "core/layer/dense.hpp"

#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "core/probe/measures.hpp"
#include "core/random.hpp"

namespace lateral {

DenseLayer::DenseLayer(const DenseLayerParams& params, std::uint64_t seed, std::uint32_t node)
    : params_(params),
      seed_(seed),
      node_(node),
      decorrelator_(params.decorrelator, params.inputs,
                    RandomStream(seed, node, 0, Purpose::spectrum)) {
  LATERAL_CHECK(params.inputs > 0);
  LATERAL_CHECK(params.units > 0);
  LATERAL_CHECK(params.activation != nullptr);
  LATERAL_CHECK(params.credit != nullptr);
  LATERAL_CHECK(params.optimizer != nullptr);
  activation_ = params.activation();
  credit_ = params.credit();
  const double bound = 1.0 / std::sqrt(static_cast<double>(params.inputs));
  weight_.resize(params.units, params.inputs);
  RandomStream(seed, node, 0, Purpose::initial_weight).fill_uniform(weight_, bound);
  bias_.resize(params.units);
  RandomStream(seed, node, 0, Purpose::initial_bias).fill_uniform(bias_, bound);
  if (const std::optional<FeedbackShape> shape =
          credit_->feedback_shape(params.units, params.inputs, params.classes, params.is_output)) {
    feedback_.resize(shape->rows, shape->cols);
    RandomStream(seed, node, 0, Purpose::initial_feedback).fill_uniform(feedback_, shape->bound);
  }
  weight_optimizer_ = params.optimizer(params.optimizer_params, params.units, params.inputs);
  bias_optimizer_ = params.optimizer(params.optimizer_params, params.units, 1);
  weight_gradient_.resize(params.units, params.inputs);
  bias_gradient_.resize(params.units);
}

const Matrix& DenseLayer::respond_train(ConstMatrixRef z, std::uint64_t step) {
  LATERAL_CHECK(z.rows() == params_.inputs);
  LATERAL_CHECK(z.cols() > 0);
  step_ = step;
  report_ = {};
  decorrelator_.forward_train(z, x_);
  report_.forward_settled = decorrelator_.forward_settled();
  a_.resize(params_.units, z.cols());
  a_.noalias() = weight_ * x_;
  a_.colwise() += bias_;
  y_.resize(params_.units, z.cols());
  activation_->apply(a_, y_);
  return y_;
}

const Matrix& DenseLayer::respond_evaluate(ConstMatrixRef z) {
  LATERAL_CHECK(z.rows() == params_.inputs);
  decorrelator_.forward_evaluate(z, evaluate_x_);
  evaluate_y_.resize(params_.units, z.cols());
  evaluate_y_.noalias() = weight_ * evaluate_x_;
  evaluate_y_.colwise() += bias_;
  activation_->apply(evaluate_y_, evaluate_y_);
  return evaluate_y_;
}

const Matrix& DenseLayer::respond_perturbed(ConstMatrixRef dz) {
  LATERAL_CHECK(credit_->perturbs());
  noise_.resize(a_.rows(), a_.cols());
  RandomStream(seed_, node_, step_, Purpose::node_noise).fill_normal(noise_, params_.sigma);
  da_ = noise_;
  if (dz.size() > 0) {
    LATERAL_CHECK(dz.rows() == params_.inputs);
    LATERAL_CHECK(dz.cols() == a_.cols());
    decorrelator_.forward_difference(dz, dx_);
    report_.forward_settled = decorrelator_.forward_settled();
    da_.noalias() += weight_ * dx_;
  }
  dy_.resize(a_.rows(), a_.cols());
  activation_->difference(a_, da_, dy_);
  return dy_;
}

void DenseLayer::receive_credit(ConstMatrixRef signal) {
  LATERAL_CHECK(signal.cols() == a_.cols());
  slope_.resize(a_.rows(), a_.cols());
  activation_->slope(a_, slope_);
  delta_.resize(a_.rows(), a_.cols());
  credit_->assign({signal, slope_, noise_, feedback_, params_.is_output, params_.sigma}, delta_);
}

const Matrix& DenseLayer::pass_back() {
  LATERAL_CHECK(credit_->signal() == Signal::error);
  error_at_x_.resize(params_.inputs, delta_.cols());
  credit_->pass_back(weight_, feedback_, delta_, error_at_x_);
  if (!params_.feedback_through_decorrelation) return error_at_x_;
  decorrelator_.backward(error_at_x_, error_at_z_);
  report_.backward_settled = decorrelator_.backward_settled();
  return error_at_z_;
}

void DenseLayer::learn() {
  compute_weight_gradient(delta_, weight_gradient_);
  bias_gradient_ = delta_.rowwise().mean();
  if (measure_update_) weight_before_ = weight_;
  weight_optimizer_->step(weight_gradient_, weight_);
  bias_optimizer_->step(bias_gradient_, bias_);
  if (measure_update_)
    report_.weight_update_norm = static_cast<double>((weight_ - weight_before_).norm());
  report_.decorrelation = decorrelator_.learn();
}

double DenseLayer::gradient_angle(ConstMatrixRef true_error) {
  true_delta_ = true_error.cwiseProduct(slope_);
  true_gradient_.resize(params_.units, params_.inputs);
  compute_weight_gradient(true_delta_, true_gradient_);
  compute_weight_gradient(delta_, weight_gradient_);
  return angle_degrees(weight_gradient_, true_gradient_);
}

const Matrix& DenseLayer::pass_back_true() {
  true_error_at_x_.resize(params_.inputs, true_delta_.cols());
  true_error_at_x_.noalias() = weight_.transpose() * true_delta_;
  decorrelator_.backward_probe(true_error_at_x_, true_error_at_z_);
  return true_error_at_z_;
}

double DenseLayer::correlation_before() const {
  const Matrix& centred = decorrelator_.centred();
  return mean_squared_correlation(
      centred.leftCols(std::min(centred.cols(), correlation_samples_max)));
}

double DenseLayer::correlation_after() const {
  return mean_squared_correlation(x_.leftCols(std::min(x_.cols(), correlation_samples_max)));
}

void DenseLayer::visit_state(const TensorVisitor& visit) {
  visit_matrix(visit, "weight", weight_);
  visit_vector(visit, "bias", bias_);
  if (feedback_.size() > 0) visit_matrix(visit, "feedback", feedback_);
  decorrelator_.visit_state(visit);
  weight_optimizer_->visit_state("optimizer/weight", visit);
  bias_optimizer_->visit_state("optimizer/bias", visit);
}

void DenseLayer::compute_weight_gradient(const Matrix& delta, Matrix& gradient) const {
  gradient.noalias() = (1 / static_cast<Scalar>(delta.cols()) * delta) * x_.transpose();
}

}  // namespace lateral
