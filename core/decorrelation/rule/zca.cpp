// Whitening that turns the data least: R = C^(−1/2), by eigendecomposition.
#include "core/decorrelation/direct_whitening.hpp"

namespace lateral::decorrelation {
namespace {

/// R = E diag(s^(−1/2)) Eᵀ for <zc zcᵀ> = E diag(s) Eᵀ. The reference for the rules that learn.
/// Source: Bell & Sejnowski 1997 (zero-phase components).
class Zca final : public DirectWhitening {
 public:
  explicit Zca(const DecorrelationParams& params) : DirectWhitening(params, rule_info()) {}
  const RuleInfo& info() const override { return rule_info(); }

 private:
  static const RuleInfo& rule_info() {
    static const RuleInfo info{
        "whitening by eigendecomposition, symmetric",
        "Bell & Sejnowski 1997; reference",
        parameters(20, 0.01),
        {"none", "none", "all to all: the covariance of the layer's input and its eigenvectors"}};
    return info;
  }
  Eigen::MatrixXd matrix(const Eigenbasis& basis) const override {
    return symmetric_power(basis, -0.5);
  }
};

}  // namespace

std::unique_ptr<DecorrelationRule> zca(const DecorrelationParams& params) {
  return std::make_unique<Zca>(params);
}

}  // namespace lateral::decorrelation
