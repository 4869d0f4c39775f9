// Similarity matching: Hebbian feed-forward and anti-Hebbian lateral synapses, each with a rate of
// its own that falls as its unit is active.
#include "core/decorrelation/rule.hpp"

namespace lateral::decorrelation {
namespace {

/// M x = R zc with M_ii = 1;  D_i ← D_i + Σ_s x_i²,
///   R_ij ← R_ij + (Σ_s x_i zc_j − R_ij Σ_s x_i²) / D_i,
///   M_ij ← M_ij + ((1 + λ) Σ_s x_i x_j − M_ij Σ_s x_i²) / D_i,  i ≠ j.
/// Fixed point for as many units as inputs and λ = 0: M⁻¹ R orthogonal, similarities are kept.
/// λ > 0 decorrelates. It has no η; D starts at D0.
/// M comes close to the correlation matrix itself, not to its root: strongly correlated input needs
/// integrator: chebyshev and many steps.
/// Source: Pehlevan, Hu & Chklovskii 2015; the samples of a batch at once, R from s I in the place
/// of a random start.
class Pehlevan2015 final : public DecorrelationRule {
 public:
  explicit Pehlevan2015(const DecorrelationParams& params)
      : params_(params),
        lambda_(static_cast<Scalar>(params.own.value(info(), "lambda"))),
        start_(static_cast<Scalar>(params.own.value(info(), "initial_activity"))) {}
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "similarity matching, Hebbian and anti-Hebbian",
        "Pehlevan, Hu & Chklovskii 2015",
        {{"lambda", 0, 0, 1000, "λ > 0: more lateral inhibition, which decorrelates"},
         {"initial_activity", 100, 1e-6, 1e12, "D at the start: the first rates are 1/D"}},
        {"synapse, x_i, its sum of squares D_i, zc_j", "x_j of the lateral inputs", "none"}};
    return info;
  }
  DecorrelationModes modes() const override { return {false, true}; }
  KeptTensors kept_tensors(DecorrelationMode) const override {
    return {.R = true, .M = true, .threshold = false};
  }
  void begin(Index n, const RandomStream&, DecorrelationState& state) override {
    state.R = Matrix::Identity(n, n) * params_.initial_scale;
    state.M = Matrix::Identity(n, n);
    activity_.setConstant(n, start_);
  }
  DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) override {
    const Vector power = view.x.rowwise().squaredNorm();
    activity_ += power;
    const Vector keep = 1 - (power.array() / activity_.array());
    post_ = activity_.cwiseInverse().asDiagonal() * view.x;
    state.R.array().colwise() *= keep.array();
    add_outer_product(1, post_, view.zc, state.R, view.compute);
    state.M.array().colwise() *= keep.array();
    add_outer_product(1 + lambda_, post_, view.x, state.M, view.compute);
    state.M.diagonal().setOnes();
    return {};
  }
  void visit_state(const std::string& prefix, const TensorVisitor& visit) override {
    visit_vector(visit, prefix + "activity", activity_);
  }
  std::vector<TensorSpec> own_tensors(const std::string& prefix, Index n) const override {
    return {{prefix + "activity", TensorRole::other, {n}}};
  }

 private:
  DecorrelationParams params_;
  Scalar lambda_, start_;
  Vector activity_;  // D
  Matrix post_;
};

}  // namespace

std::unique_ptr<DecorrelationRule> pehlevan2015(const DecorrelationParams& params) {
  return std::make_unique<Pehlevan2015>(params);
}

}  // namespace lateral::decorrelation
