// Activity-based node perturbation: learns from how the units really changed, not from their noise.
#include "core/credit/credit.hpp"

namespace lateral::credit {
namespace {

/// δ = da N r / ‖da‖²: da is all that a changed by, its own noise and what came from below; ‖da‖²
/// and N go over the units of all layers, and reach the layer with the reward r = L(perturbed) −
/// L(clean). The noise itself need not be known. For isotropic da an unbiased estimate of the
/// gradient. Source: Dalm et al. 2023 (arXiv 2310.00965), ANP; with decorrelation, DANP.
class ActivityPerturbation final : public CreditRule {
 public:
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "noise on every unit, credit by how much each unit changed",
        "Dalm et al. 2023, ANP",
        {},
        {"x_j, its own change da_i", "none",
         "the reward over the summed squared change of all units, one number a sample"}};
    return info;
  }
  Signal signal() const override { return Signal::reward; }
  PerturbedPass perturbed_pass() const override { return PerturbedPass::all_units; }
  bool sees_whole_change() const override { return true; }
  void assign(const CreditView& view, MatrixRef delta) const override {
    for (Index n = 0; n < delta.cols(); ++n) delta.col(n) = view.signal(0, n) * view.noise.col(n);
  }
};

}  // namespace

std::unique_ptr<CreditRule> activity_perturbation(const RuleParameters&) {
  return std::make_unique<ActivityPerturbation>();
}

}  // namespace lateral::credit
