// Node perturbation: noise on every unit, which learns from one broadcast number a sample.
#include "core/credit/credit.hpp"

namespace lateral::credit {
namespace {

/// δ = ξ r / σ², r = L(perturbed) − L(clean) of the sample: over the noise, E δ = ∂L/∂a + O(σ²).
/// Source: Williams 1992; Dalm et al. 2023 (arXiv 2310.00965)
class NodePerturbation final : public CreditRule {
 public:
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "noise on every unit, one reward a sample",
        "Williams 1992; Dalm et al. 2023",
        {},
        {"x_j, its own noise ξ_i", "none", "the reward, one number a sample"}};
    return info;
  }
  Signal signal() const override { return Signal::reward; }
  PerturbedPass perturbed_pass() const override { return PerturbedPass::all_units; }
  void assign(const CreditView& view, MatrixRef delta) const override {
    const auto scale = static_cast<Scalar>(1.0 / (view.sigma * view.sigma));
    for (Index n = 0; n < delta.cols(); ++n)
      delta.col(n) = (scale * view.signal(0, n)) * view.noise.col(n);
  }
};

}  // namespace

std::unique_ptr<CreditRule> node_perturbation(const RuleParameters&) {
  return std::make_unique<NodePerturbation>();
}

}  // namespace lateral::credit
