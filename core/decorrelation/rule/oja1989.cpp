// The subspace rule: Hebbian feed-forward synapses that keep their rows orthonormal.
#include "core/decorrelation/rule.hpp"

namespace lateral::decorrelation {
namespace {

/// x = R zc,  R ← R + η (<x zcᵀ> − <x xᵀ> R).
/// Fixed point of as many units as inputs: R Rᵀ = I. So it turns the axes and takes no correlation
/// away: the comparison that shows what variance equalization does.
/// Source: Oja 1989. Not local: <x xᵀ> R sums over the layer.
class Oja1989 final : public DecorrelationRule {
 public:
  explicit Oja1989(const DecorrelationParams& params) : params_(params) {}
  const RuleInfo& info() const override {
    static const RuleInfo info{"subspace rule: R becomes orthogonal",
                               "Oja 1989",
                               {},
                               {"R_ij, x_i, zc_j", "none", "all to all: Σ_k x_k R_kj"}};
    return info;
  }
  DecorrelationModes modes() const override { return {true, false}; }
  void begin(Index n, const RandomStream&, DecorrelationState& state) override {
    begin_scaled_identity(n, params_, state);
  }
  DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) override {
    // zc − Rᵀ x: what the layer's outputs do not explain of its input.
    rest_ = view.zc;
    view.compute.add_product(-1, {state.R, true}, view.x, rest_);
    add_outer_product(params_.learning_rate / static_cast<Scalar>(view.x.cols()), view.x, rest_,
                      state.R, view.compute);
    return {};
  }

 private:
  DecorrelationParams params_;
  Matrix rest_;
};

}  // namespace

std::unique_ptr<DecorrelationRule> oja1989(const DecorrelationParams& params) {
  return std::make_unique<Oja1989>(params);
}

}  // namespace lateral::decorrelation
