// Natural neural networks: inputs whitened now and then, weights adjusted so that nothing else
// changes.
#include "core/decorrelation/direct_whitening.hpp"

namespace lateral::decorrelation {
namespace {

/// Every `interval` steps R ← diag(s^(−1/2)) Eᵀ and W ← W R_old R_new⁻¹: the function stays, the
/// gradient's metric becomes that of whitened inputs. Plain sgd is what it is meant for; moments of
/// adam are not turned along. The mean follows demean in the place of being reset with R.
/// Source: Desjardins, Simonyan, Pascanu & Kavukcuoglu 2015 (PRONG).
class Prong final : public DirectWhitening {
 public:
  explicit Prong(const DecorrelationParams& params) : DirectWhitening(params, rule_info()) {}
  const RuleInfo& info() const override { return rule_info(); }
  bool reparametrises() const override { return true; }

 private:
  static const RuleInfo& rule_info() {
    static const RuleInfo info{
        "whitened reparametrization that keeps the function",
        "Desjardins et al. 2015",
        parameters(100, 0.01),
        {"none", "none", "all to all: the covariance of the layer's input and its eigenvectors"}};
    return info;
  }
  Eigen::MatrixXd matrix(const Eigenbasis& basis) const override {
    return component_whitening(basis);
  }
};

}  // namespace

std::unique_ptr<DecorrelationRule> prong(const DecorrelationParams& params) {
  return std::make_unique<Prong>(params);
}

}  // namespace lateral::decorrelation
