// Adam, bias-corrected.
#include <cmath>

#include "core/optimizer/optimizer.hpp"

namespace lateral::optimizer {
namespace {

/// m ← m + (1 − β1) (g − m),  v ← β2 v + (1 − β2) g²,
/// W ← W − lr / (1 − β1^t) · m / (√v / √(1 − β2^t) + ε),   t the number of steps, this one
/// included. Source: Kingma & Ba 2015; the placing of ε is PyTorch's. t is kept as a float32 with
/// the moments. It stops growing at 2^24, where both corrections have long been 1 to rounding (for
/// β2 up to 1 − 2e-6).
class Adam final : public Optimizer {
 public:
  Adam(const OptimizerParams& params, Index rows, Index cols)
      : params_(params),
        m_(Matrix::Zero(rows, cols)),
        v_(Matrix::Zero(rows, cols)),
        steps_(Vector::Zero(1)) {}

  void begin_step() override {
    steps_[0] += 1;
    const double t = static_cast<double>(steps_[0]);
    rate_ = static_cast<Scalar>(params_.learning_rate / (1.0 - std::pow(params_.beta1, t)));
    inverse_root_ = static_cast<Scalar>(1.0 / std::sqrt(1.0 - std::pow(params_.beta2, t)));
  }

  void update(Index first, ConstMatrixRef gradient, MatrixRef parameter) override {
    const auto epsilon = static_cast<Scalar>(params_.epsilon);
    const auto new1 = static_cast<Scalar>(1.0 - params_.beta1);
    const auto old2 = static_cast<Scalar>(params_.beta2);
    const auto new2 = static_cast<Scalar>(1.0 - params_.beta2);
    for (Index j = 0; j < parameter.cols(); ++j) {  // by column: one pass through memory
      const auto g = gradient.col(j).array();
      auto m = m_.col(first + j).array();
      auto v = v_.col(first + j).array();
      m += new1 * (g - m);
      v = old2 * v + new2 * g.square();
      parameter.col(j).array() -= rate_ * m / (v.sqrt() * inverse_root_ + epsilon);
    }
  }

  void visit_state(const std::string& prefix, const TensorVisitor& visit) override {
    visit_moment(visit, prefix + "_m", m_);
    visit_moment(visit, prefix + "_v", v_);
    visit_vector(visit, prefix + "_steps", steps_);
  }
  std::vector<TensorSpec> tensors(const std::string& prefix, Index rows,
                                  Index cols) const override {
    return {moment_spec(prefix + "_m", rows, cols),
            moment_spec(prefix + "_v", rows, cols),
            {prefix + "_steps", TensorRole::other, {1}}};
  }

 private:
  OptimizerParams params_;
  Matrix m_, v_;
  Vector steps_;
  Scalar rate_ = 0, inverse_root_ = 0;  // of the current step
};

}  // namespace

std::unique_ptr<Optimizer> adam(const OptimizerParams& params, Index rows, Index cols) {
  return std::make_unique<Adam>(params, rows, cols);
}

}  // namespace lateral::optimizer
