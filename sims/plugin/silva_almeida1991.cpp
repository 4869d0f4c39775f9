// Symmetric whitening, an example of a decorrelation rule as a plug-in: R ← R + η (v I − C).
#include "core/plugin.hpp"

namespace lateral::decorrelation {
namespace {

/// Drives C = <x xᵀ> to v I: at the fixed point R C0 R = v I, the symmetric (ZCA) root. The
/// change of each weight depends only on the product of the two activities that it connects.
/// Source: Silva & Almeida 1991, "A distributed decorrelation algorithm"; there is no M form.
class SilvaAlmeida1991 final : public DecorrelationRule {
 public:
  explicit SilvaAlmeida1991(const DecorrelationParams& params) : params_(params) {}
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "whitening by a symmetric R, without a product with R",
        "Silva & Almeida 1991",
        {{"variance", 1, 1e-6, 1e6, "v, the variance of every unit at rest"}},
        {"x_i of its own unit", "x_j of the lateral inputs", "none"}};
    return info;
  }
  DecorrelationModes modes() const override { return {true, false}; }
  void begin(Index n, const RandomStream&, DecorrelationState& state) override {
    begin_scaled_identity(n, params_, state);
  }
  DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) override {
    const Scalar eta = params_.learning_rate;
    const Scalar per_sample = eta / static_cast<Scalar>(view.x.cols());
    add_outer_product(-per_sample, view.x, view.x, state.R, view.compute);
    const auto variance = static_cast<Scalar>(params_.own.value(info(), "variance"));
    state.R.diagonal().array() += eta * variance;
    return {};
  }

 private:
  DecorrelationParams params_;
};

std::unique_ptr<DecorrelationRule> silva_almeida1991(const DecorrelationParams& params) {
  return std::make_unique<SilvaAlmeida1991>(params);
}

}  // namespace
}  // namespace lateral::decorrelation

LATERAL_PLUGIN({"silva_almeida1991", lateral::decorrelation::silva_almeida1991})
