// Infomax: independent components by the natural gradient of the information that sigmoids pass on.
#include <cmath>

#include "core/decorrelation/rule.hpp"

namespace lateral::decorrelation {
namespace {

/// x = R zc − θ, y = 1 / (1 + exp(−x)):
///   R ← R + η (I + <(1 − 2y) x̃ᵀ>) R with x̃ = R zc,  θ ← θ − η <1 − 2y>.
/// Ahmad 2024's rule is its second-order relative: (1 − 2y) in the place of −x, I in that of a
/// gain. Fixed point: <(2y − 1) x̃ᵀ> = I, components independent if the sources are heavy-tailed.
/// Source: Bell & Sejnowski 1997, in Amari's natural-gradient form; it is usually run on whitened
/// data, which decorrelation of the data or η small enough stands in for. Departs from public code,
/// whose u in the step of R includes the bias: x̃ here is without θ.
class BellSejnowski1997 final : public DecorrelationRule {
 public:
  explicit BellSejnowski1997(const DecorrelationParams& params) : params_(params) {}
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "infomax: independent, not only uncorrelated; leaves the bias out of u in the step of R, "
        "where "
        "public code includes it",
        "Bell & Sejnowski 1997, natural gradient",
        {},
        {"R_ij, x_i", "none", "all to all: Σ_k x_k R_kj"}};
    return info;
  }
  DecorrelationModes modes() const override { return {true, false}; }
  KeptTensors kept_tensors(DecorrelationMode) const override {
    return {.R = true, .M = false, .threshold = true};
  }
  void begin(Index n, const RandomStream&, DecorrelationState& state) override {
    begin_scaled_identity(n, params_, state);
    state.threshold.setZero(n);
  }
  DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) override {
    const Index samples = view.x.cols();
    const Scalar eta = params_.learning_rate;
    // 1 − 2y = −tanh(x / 2)
    pull_ = view.x.unaryExpr([](Scalar x) { return -std::tanh(x / 2); });
    x_ = view.x.colwise() + state.threshold;
    state.threshold -= eta * pull_.rowwise().mean();
    back_.setZero(state.R.cols(), samples);  // Rᵀ x̃
    view.compute.add_product(1, {state.R, true}, x_, back_);
    state.R *= 1 + eta;
    add_outer_product(eta / static_cast<Scalar>(samples), pull_, back_, state.R, view.compute);
    return {};
  }

 private:
  DecorrelationParams params_;
  Matrix pull_, x_, back_;
};

}  // namespace

std::unique_ptr<DecorrelationRule> bell_sejnowski1997(const DecorrelationParams& params) {
  return std::make_unique<BellSejnowski1997>(params);
}

}  // namespace lateral::decorrelation
