// Decorrelated backpropagation's rule: κ between decorrelation (0) and unit variances (1).
#include "core/decorrelation/relative_gradient.hpp"

namespace lateral::decorrelation {
namespace {

/// Q = (1 − κ) off(C) + κ diag(<x_i²> − 1).  0 < κ < 1: C = I at the fixed point.
/// Settled: dM_ij = η ((1 − κ)(<zc_i x_j> − M_ij <x_j²>) + κ M_ij (<x_j²> − 1)).
/// Source: Dalm, Offergeld, Ahmad & van Gerven 2024 (arXiv 2405.02385), "standard" form. Published
/// code multiplies the columns of R by the variances' error; here, as the mathematics has it, the
/// rows.
class Dalm2024 final : public DecorrelationRule {
 public:
  explicit Dalm2024(const DecorrelationParams& params)
      : params_(params), kappa_(static_cast<Scalar>(params.own.value(info(), "kappa"))) {}
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "between decorrelation and whitening",
        "Dalm, Offergeld, Ahmad & van Gerven 2024",
        {{"kappa", 0.5, 0, 1, "0: decorrelates only; 1: normalizes variances only"}},
        {"M_ij, drive zc_i", "x_j and <x_j²> of the lateral inputs", "none"}};
    return info;
  }
  void begin(Index n, const RandomStream&, DecorrelationState& state) override {
    begin_scaled_identity(n, params_, state);
  }
  DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) override {
    const Vector power = mean_square(view.x);
    const Vector diagonal = kappa_ * (power.array() - 1) - (1 - kappa_) * power.array();
    return update_relative(view, {1 - kappa_, diagonal}, params_.learning_rate, state, work_);
  }

 private:
  DecorrelationParams params_;
  Scalar kappa_;
  UpdateWorkspace work_;
};

}  // namespace

std::unique_ptr<DecorrelationRule> dalm2024(const DecorrelationParams& params) {
  return std::make_unique<Dalm2024>(params);
}

}  // namespace lateral::decorrelation
