// Gradient descent, with momentum if asked for.
#include "core/optimizer/optimizer.hpp"

namespace lateral::optimizer {
namespace {

/// W ← W − lr g, or with momentum μ: v ← μ v + g, W ← W − lr v (the convention of PyTorch).
class Sgd final : public Optimizer {
 public:
  Sgd(const OptimizerParams& params, Index rows, Index cols)
      : learning_rate_(static_cast<Scalar>(params.learning_rate)),
        momentum_(static_cast<Scalar>(params.momentum)) {
    if (momentum_ != 0) velocity_.setZero(rows, cols);
  }

  void begin_step() override {}

  void update(Index first, ConstMatrixRef gradient, MatrixRef parameter) override {
    if (momentum_ == 0) {
      parameter -= learning_rate_ * gradient;
      return;
    }
    for (Index j = 0; j < parameter.cols(); ++j) {  // by column: v is still in cache when W reads it
      auto velocity = velocity_.col(first + j);
      velocity = momentum_ * velocity + gradient.col(j);
      parameter.col(j) -= learning_rate_ * velocity;
    }
  }

  void visit_state(const std::string& prefix, const TensorVisitor& visit) override {
    if (momentum_ != 0) visit_moment(visit, prefix + "_velocity", velocity_);
  }
  std::vector<TensorSpec> tensors(const std::string& prefix, Index rows,
                                  Index cols) const override {
    if (momentum_ == 0) return {};
    return {moment_spec(prefix + "_velocity", rows, cols)};
  }

 private:
  Scalar learning_rate_, momentum_;
  Matrix velocity_;
};

}  // namespace

std::unique_ptr<Optimizer> sgd(const OptimizerParams& params, Index rows, Index cols) {
  return std::make_unique<Sgd>(params, rows, cols);
}

}  // namespace lateral::optimizer
