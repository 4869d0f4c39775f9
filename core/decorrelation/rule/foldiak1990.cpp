// Anti-Hebbian lateral inhibition: units that are active together come to inhibit each other.
#include "core/decorrelation/rule.hpp"

namespace lateral::decorrelation {
namespace {

/// M x = zc,  M_ij ← M_ij + η (<x_i x_j> − p²), i ≠ j; the diagonal as well if asked for.
/// Fixed point (p = 0): C diagonal. The change is additive, so its speed goes with the cube of the
/// scale of x, and with the diagonal nothing stops M from growing: activity dies out.
/// Source: Földiák 1990, its anti-Hebbian synapses, on linear units without thresholds, as Ahmad
/// 2024 compares with (there with the diagonal).
class Foldiak1990 final : public DecorrelationRule {
 public:
  explicit Foldiak1990(const DecorrelationParams& params)
      : params_(params),
        diagonal_(params.own.value(info(), "diagonal") != 0),
        rate_(static_cast<Scalar>(params.own.value(info(), "rate"))) {}
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "anti-Hebbian lateral synapses",
        "Földiák 1990, linear units",
        {{"diagonal", 0, 0, 1, "1: a unit's leak grows with its own activity too", true},
         {"rate", 0, -1000, 1000, "p: <x_i x_j> goes to p²"}},
        {"x_i", "x_j of the lateral inputs", "none"}};
    return info;
  }
  DecorrelationModes modes() const override { return {false, true}; }
  void begin(Index n, const RandomStream&, DecorrelationState& state) override {
    begin_scaled_identity(n, params_, state);
  }
  DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) override {
    const Scalar eta = params_.learning_rate;
    leak_ = state.M.diagonal();
    add_outer_product(eta / static_cast<Scalar>(view.x.cols()), view.x, view.x, state.M,
                      view.compute);
    state.M.array() -= eta * rate_ * rate_;
    if (!diagonal_) state.M.diagonal() = leak_;
    return {};
  }

 private:
  DecorrelationParams params_;
  bool diagonal_;
  Scalar rate_;
  Vector leak_;
};

}  // namespace

std::unique_ptr<DecorrelationRule> foldiak1990(const DecorrelationParams& params) {
  return std::make_unique<Foldiak1990>(params);
}

}  // namespace lateral::decorrelation
