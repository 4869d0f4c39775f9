// Iterative node perturbation: noise on one layer at a time, so that its reward shows the effect of
// this noise alone.
#include "core/credit/credit.hpp"

namespace lateral::credit {
namespace {

/// δ = n ξ r / ‖ξ‖², n and ‖ξ‖² of this layer's units, r = L(this layer perturbed) − L(clean). As
/// many perturbed passes a batch as there are layers. Source: Dalm et al. 2023 (arXiv 2310.00965),
/// INP; with decorrelation, DINP.
class IterativePerturbation final : public CreditRule {
 public:
  const RuleInfo& info() const override {
    static const RuleInfo info{"noise on one layer at a time",
                               "Dalm et al. 2023, INP",
                               {},
                               {"x_j, its own noise ξ_i", "‖ξ‖² of its layer",
                                "the reward of its layer's pass, one number a sample"}};
    return info;
  }
  Signal signal() const override { return Signal::reward; }
  PerturbedPass perturbed_pass() const override { return PerturbedPass::units_of_one_layer; }
  void assign(const CreditView& view, MatrixRef delta) const override {
    const auto units = static_cast<Scalar>(delta.rows());
    for (Index n = 0; n < delta.cols(); ++n)
      delta.col(n) =
          (units * view.signal(0, n) / view.noise.col(n).squaredNorm()) * view.noise.col(n);
  }
};

}  // namespace

std::unique_ptr<CreditRule> iterative_perturbation(const RuleParameters&) {
  return std::make_unique<IterativePerturbation>();
}

}  // namespace lateral::credit
