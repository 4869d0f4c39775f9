// Inhibitory plasticity: inhibition grows until each unit fires at its target rate.
#include "core/decorrelation/rule.hpp"

namespace lateral::decorrelation {
namespace {

/// M x = zc,  M_ij ← max(0, M_ij + η <x_j (x_i − ρ)>), i ≠ j: the mean of the spike rule. It
/// balances targets; correlations go as far as they stand in the way.
/// Fixed point: <x_j x_i> = ρ <x_j> wherever M_ij > 0.
/// Source: Vogels, Sprekeler, Zenke, Clopath & Gerstner 2011, as rates of linear units.
class Vogels2011 final : public DecorrelationRule {
 public:
  explicit Vogels2011(const DecorrelationParams& params)
      : params_(params), rho_(static_cast<Scalar>(params.own.value(info(), "rate"))) {}
  const RuleInfo& info() const override {
    static const RuleInfo info{"inhibitory plasticity towards a target rate",
                               "Vogels et al. 2011, rate form, linear units",
                               {{"rate", 0, -1000, 1000, "ρ: target of every unit's activity"}},
                               {"x_i, M_ij ≥ 0", "x_j of the lateral inputs", "none"}};
    return info;
  }
  DecorrelationModes modes() const override { return {false, true}; }
  void begin(Index n, const RandomStream&, DecorrelationState& state) override {
    begin_scaled_identity(n, params_, state);
  }
  DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) override {
    leak_ = state.M.diagonal();
    above_ = view.x.array() - rho_;
    add_outer_product(params_.learning_rate / static_cast<Scalar>(view.x.cols()), above_, view.x,
                      state.M, view.compute);
    state.M = state.M.cwiseMax(Scalar{0});
    state.M.diagonal() = leak_;
    return {};
  }

 private:
  DecorrelationParams params_;
  Scalar rho_;
  Vector leak_;
  Matrix above_;
};

}  // namespace

std::unique_ptr<DecorrelationRule> vogels2011(const DecorrelationParams& params) {
  return std::make_unique<Vogels2011>(params);
}

}  // namespace lateral::decorrelation
