// Decorrelation that keeps each unit's variance, by local means alone.
#include "core/decorrelation/relative_gradient.hpp"

namespace lateral::decorrelation {
namespace {

/// Q = off(C) + κ diag(<x_i²> − s_i), s_i a running mean of <zc_i²>: C = diag(s) at the fixed
/// point. Settled: dM_ij = η (<zc_i x_j> − M_ij <x_j²> + κ M_ij (<x_j²> − s_j)). No published
/// source: the diagonal of Dalm 2024 with the unit's own variance in the place of 1.
class VarianceKeeping final : public DecorrelationRule {
 public:
  explicit VarianceKeeping(const DecorrelationParams& params)
      : params_(params),
        kappa_(static_cast<Scalar>(params.own.value(info(), "kappa"))),
        momentum_(static_cast<Scalar>(params.own.value(info(), "momentum"))) {}
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "removes correlations, keeps each unit's variance",
        "this project, after Dalm 2024",
        {{"kappa", 0.5, 0, 1, "strength of the pull back to the variance"},
         {"momentum", 0.01, 1e-6, 1, "of the running variance"}},
        {"M_ij, drive zc_i", "x_j, <x_j²> and s_j of the lateral inputs", "none"}};
    return info;
  }
  void begin(Index n, const RandomStream&, DecorrelationState& state) override {
    begin_scaled_identity(n, params_, state);
    target_.setZero(n);
    weight_.setZero(1);
  }
  DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) override {
    const Vector power = mean_square(view.x);
    target_ += momentum_ * (mean_square(view.zc) - target_);
    weight_[0] += momentum_ * (1 - weight_[0]);  // what the mean has seen so far
    const Vector diagonal = kappa_ * (power - target_ / weight_[0]).array() - power.array();
    return update_relative(view, {1, diagonal}, params_.learning_rate, state, work_);
  }
  void visit_state(const std::string& prefix, const TensorVisitor& visit) override {
    visit_vector(visit, prefix + "variance", target_);
    visit_vector(visit, prefix + "variance_weight", weight_);
  }
  std::vector<TensorSpec> own_tensors(const std::string& prefix, Index n) const override {
    return {{prefix + "variance", TensorRole::other, {n}},
            {prefix + "variance_weight", TensorRole::other, {1}}};
  }

 private:
  DecorrelationParams params_;
  Scalar kappa_, momentum_;
  Vector target_, weight_;
  UpdateWorkspace work_;
};

}  // namespace

std::unique_ptr<DecorrelationRule> variance_keeping(const DecorrelationParams& params) {
  return std::make_unique<VarianceKeeping>(params);
}

}  // namespace lateral::decorrelation
