// Feedback alignment: the error comes through fixed random weights B in the place of W.
#include <cmath>

#include "core/credit/credit.hpp"

namespace lateral::credit {
namespace {

/// δ = error ⊙ f'(a),  G = Bᵀ δ with B (units × inputs), in the output layer too.
/// Source: Lillicrap et al. 2016; the law of B: Ahmad 2024's code.
class FeedbackAlignment final : public CreditRule {
 public:
  Signal signal() const override { return Signal::error; }
  std::optional<FeedbackShape> feedback_shape(Index units, Index inputs, Index,
                                              bool) const override {
    return FeedbackShape{units, inputs, std::sqrt(6.0 / static_cast<double>(inputs))};
  }
  void assign(const CreditView& view, MatrixRef delta) const override {
    delta = view.signal.cwiseProduct(view.slope);
  }
  Operand backward(ConstMatrixRef, ConstMatrixRef feedback) const override {
    return {feedback, true};
  }
};

}  // namespace

std::unique_ptr<CreditRule> feedback_alignment() { return std::make_unique<FeedbackAlignment>(); }

}  // namespace lateral::credit
