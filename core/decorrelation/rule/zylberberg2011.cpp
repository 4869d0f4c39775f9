// SAILnet: Hebbian input synapses, lateral inhibition and thresholds that hold a target rate.
#include "core/decorrelation/rule.hpp"

namespace lateral::decorrelation {
namespace {

/// M x = R zc − θ with M_ii = 1, rates α = η·lateral, β = η·forward, γ = η·homeostasis:
///   M_ij ← max(0, M_ij + α (<x_i x_j> − p²)), i ≠ j,
///   R_i  ← R_i + β (<x_i zc> − <x_i²> R_i),   θ_i ← θ_i + γ (<x_i> − p).
/// Fixed point where inhibition can reach it: <x_i> = p and <x_i x_j> = p², no covariance.
/// Source: Zylberberg, Murphy & DeWeese 2011, as rates of linear units in the place of spikes.
class Zylberberg2011 final : public DecorrelationRule {
 public:
  explicit Zylberberg2011(const DecorrelationParams& params)
      : params_(params),
        p_(static_cast<Scalar>(params.own.value(info(), "rate"))),
        alpha_(params.learning_rate * static_cast<Scalar>(params.own.value(info(), "lateral"))),
        beta_(params.learning_rate * static_cast<Scalar>(params.own.value(info(), "forward"))),
        gamma_(params.learning_rate *
               static_cast<Scalar>(params.own.value(info(), "homeostasis"))) {}
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "SAILnet: sparse and decorrelated by local inhibition and thresholds",
        "Zylberberg, Murphy & DeWeese 2011, rate form, linear units",
        {{"rate", 0.05, 0, 1000, "p: target of every unit's mean activity"},
         {"lateral", 1, 0, 1000, "α / η, of lateral synapses"},
         {"forward", 0.01, 0, 1000, "β / η, of input synapses"},
         {"homeostasis", 0.1, 0, 1000, "γ / η, of thresholds"}},
        {"synapse, x_i, θ_i, zc_j", "x_j of the lateral inputs", "none"}};
    return info;
  }
  DecorrelationModes modes() const override { return {false, true}; }
  KeptTensors kept_tensors(DecorrelationMode) const override {
    return {.R = true, .M = true, .threshold = true};
  }
  void begin(Index n, const RandomStream&, DecorrelationState& state) override {
    state.R = Matrix::Identity(n, n) * params_.initial_scale;
    state.M = Matrix::Identity(n, n);
    state.threshold.setZero(n);
  }
  DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) override {
    const Scalar share = 1 / static_cast<Scalar>(view.x.cols());
    const Vector power = share * view.x.rowwise().squaredNorm();
    add_outer_product(alpha_ * share, view.x, view.x, state.M, view.compute);
    state.M = (state.M.array() - alpha_ * p_ * p_).max(Scalar{0});
    state.M.diagonal().setOnes();
    state.R.array().colwise() *= 1 - beta_ * power.array();
    add_outer_product(beta_ * share, view.x, view.zc, state.R, view.compute);
    state.threshold.array() += gamma_ * (share * view.x.rowwise().sum().array() - p_);
    return {};
  }

 private:
  DecorrelationParams params_;
  Scalar p_, alpha_, beta_, gamma_;
};

}  // namespace

std::unique_ptr<DecorrelationRule> zylberberg2011(const DecorrelationParams& params) {
  return std::make_unique<Zylberberg2011>(params);
}

}  // namespace lateral::decorrelation
