// Backpropagation: the error comes through the transposed weights, W^T.
#include "core/credit/credit.hpp"

namespace lateral::credit {
namespace {

/// δ = error ⊙ f'(a),  G = Wᵀ δ: the exact gradient.
class Backpropagation final : public CreditRule {
 public:
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "the exact gradient",
        "Rumelhart, Hinton & Williams 1986",
        {},
        {"x_j, f'(a_i), δ_i", "Wᵀ δ through the same synapses backward: weight transport", "none"}};
    return info;
  }
  Signal signal() const override { return Signal::error; }
  bool is_exact() const override { return true; }
  void assign(const CreditView& view, MatrixRef delta) const override {
    delta = view.signal.cwiseProduct(view.slope);
  }
  Operand backward(ConstMatrixRef weight, ConstMatrixRef, Matrix&) const override {
    return {weight, true};
  }
};

}  // namespace

std::unique_ptr<CreditRule> backpropagation(const RuleParameters&) {
  return std::make_unique<Backpropagation>();
}

}  // namespace lateral::credit
