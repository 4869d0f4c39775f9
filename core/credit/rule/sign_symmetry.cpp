// Sign symmetry: the error comes back through weights that share with W their signs alone.
#include <cmath>

#include "core/credit/credit.hpp"

namespace lateral::credit {
namespace {

/// δ = error ⊙ f'(a),  G = Bᵀ δ with the signs of the current W:
///   magnitude 0: B = s sign(W), s = 1 / √(3 inputs), the standard deviation of W's initial law
///   (uSF); magnitude 1: B = |A| ⊙ sign(W), A drawn once from W's initial law (frSF).
/// Source: Liao, Leibo & Poggio 2016; variants as in Sanfiz & Akrout 2021 (BioTorch).
class SignSymmetry final : public CreditRule {
 public:
  explicit SignSymmetry(const RuleParameters& parameters)
      : random_(parameters.value(info(), "magnitude") != 0) {}
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "the error comes back through the signs of the weights",
        "Liao, Leibo & Poggio 2016",
        {{"magnitude", 0, 0, 1, "0: one for all feedback weights (uSF); 1: fixed random (frSF)",
          true}},
        {"x_j, f'(a_i), δ_i", "Bᵀ δ through synapses that follow the signs of W", "none"}};
    return info;
  }
  Signal signal() const override { return Signal::error; }
  std::optional<FeedbackShape> feedback_shape(Index units, Index inputs, Index,
                                              bool) const override {
    if (!random_) return std::nullopt;
    return FeedbackShape{units, inputs, 1 / std::sqrt(static_cast<double>(inputs))};
  }
  void assign(const CreditView& view, MatrixRef delta) const override {
    delta = view.signal.cwiseProduct(view.slope);
  }
  Operand backward(ConstMatrixRef weight, ConstMatrixRef feedback, Matrix& work) const override {
    if (random_)
      work = weight.binaryExpr(feedback, [](Scalar w, Scalar a) { return std::copysign(a, w); });
    else
      work = weight.cwiseSign() /
             std::sqrt(static_cast<Scalar>(3) * static_cast<Scalar>(weight.cols()));
    return {work, true};
  }

 private:
  bool random_;
};

}  // namespace

std::unique_ptr<CreditRule> sign_symmetry(const RuleParameters& parameters) {
  return std::make_unique<SignSymmetry>(parameters);
}

}  // namespace lateral::credit
