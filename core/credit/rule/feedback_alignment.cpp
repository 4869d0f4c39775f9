// Feedback alignment: the error comes through fixed random weights B in the place of W.
#include <cmath>

#include "core/credit/credit.hpp"

namespace lateral::credit {
namespace {

/// δ = error ⊙ f'(a),  G = Bᵀ δ with B (units × inputs), in the output layer too.
/// Source: Lillicrap et al. 2016; the law of B: Ahmad 2024's code.
class FeedbackAlignment final : public CreditRule {
 public:
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "the error comes back through fixed random weights",
        "Lillicrap et al. 2016; law of B: Ahmad 2024",
        {},
        {"x_j, f'(a_i), δ_i", "Bᵀ δ through fixed synapses of their own", "none"}};
    return info;
  }
  Signal signal() const override { return Signal::error; }
  std::optional<FeedbackShape> feedback_shape(Index units, Index inputs, Index,
                                              bool) const override {
    return FeedbackShape{units, inputs, std::sqrt(6.0 / static_cast<double>(inputs))};
  }
  void assign(const CreditView& view, MatrixRef delta) const override {
    delta = view.signal.cwiseProduct(view.slope);
  }
  Operand backward(ConstMatrixRef, ConstMatrixRef feedback, Matrix&) const override {
    return {feedback, true};
  }
};

}  // namespace

std::unique_ptr<CreditRule> feedback_alignment(const RuleParameters&) {
  return std::make_unique<FeedbackAlignment>();
}

}  // namespace lateral::credit
