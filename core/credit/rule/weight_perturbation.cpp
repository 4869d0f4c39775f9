// Weight perturbation: noise on every weight, which learns from one broadcast number.
#include "core/credit/credit.hpp"

namespace lateral::credit {
namespace {

/// dW = r ξ / σ², r the mean over the batch of L(W + ξ) − L(W): over the noise, E dW = ∂L/∂W +
/// O(σ²), with a variance that grows with the number of weights. One ξ a step for the whole batch.
/// Source: Jabri & Flower 1992; rules of Züge, Klos & Memmesheimer 2023.
class WeightPerturbation final : public CreditRule {
 public:
  const RuleInfo& info() const override {
    static const RuleInfo info{"noise on every weight, one reward a batch",
                               "Jabri & Flower 1992",
                               {},
                               {"its own noise ξ_ij", "none", "the reward, one number a sample"}};
    return info;
  }
  Signal signal() const override { return Signal::reward; }
  PerturbedPass perturbed_pass() const override { return PerturbedPass::all_weights; }
  void assign(const CreditView&, MatrixRef) const override {
    LATERAL_CHECK(false && "its gradient is not made of δ");
  }
};

}  // namespace

std::unique_ptr<CreditRule> weight_perturbation(const RuleParameters&) {
  return std::make_unique<WeightPerturbation>();
}

}  // namespace lateral::credit
