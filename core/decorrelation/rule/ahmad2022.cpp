// Constrained parameter inference: R ← R − η off(C) R, decorrelation that leaves variances alone.
#include "core/decorrelation/relative_gradient.hpp"

namespace lateral::decorrelation {
namespace {

/// Q = off(C) = C − diag(C). Its fixed points have a diagonal C of whatever variances came about;
/// it restores no norm, and its speed goes with the scale of C. Settled: dM_ij = η (<zc_i x_j> −
/// M_ij <x_j²>). Source: Ahmad, Schrader & van Gerven 2022 (TMLR 2023), its published code; the M
/// form is the exact inverse of the backward-Euler step.
class Ahmad2022 final : public DecorrelationRule {
 public:
  explicit Ahmad2022(const DecorrelationParams& params) : params_(params) {}
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "constrained parameter inference: removes correlations, leaves variances where they drift",
        "Ahmad, Schrader & van Gerven 2022",
        {},
        {"M_ij, drive zc_i", "x_j and <x_j²> of the lateral inputs", "none"}};
    return info;
  }
  void begin(Index n, const RandomStream&, DecorrelationState& state) override {
    begin_scaled_identity(n, params_, state);
  }
  DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) override {
    return update_relative(view, {1, -mean_square(view.x)}, params_.learning_rate, state, work_);
  }

 private:
  DecorrelationParams params_;
  UpdateWorkspace work_;
};

}  // namespace

std::unique_ptr<DecorrelationRule> ahmad2022(const DecorrelationParams& params) {
  return std::make_unique<Ahmad2022>(params);
}

}  // namespace lateral::decorrelation
