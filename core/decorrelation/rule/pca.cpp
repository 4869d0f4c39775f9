// Whitening along principal components: R = diag(s^(−1/2)) Eᵀ.
#include "core/decorrelation/direct_whitening.hpp"

namespace lateral::decorrelation {
namespace {

/// The largest component first. The same whiteness as zca, in other axes.
/// Source: textbook; reference.
class Pca final : public DirectWhitening {
 public:
  explicit Pca(const DecorrelationParams& params) : DirectWhitening(params, rule_info()) {}
  const RuleInfo& info() const override { return rule_info(); }

 private:
  static const RuleInfo& rule_info() {
    static const RuleInfo info{
        "whitening by eigendecomposition, along principal components",
        "reference",
        parameters(20, 0.01),
        {"none", "none", "all to all: the covariance of the layer's input and its eigenvectors"}};
    return info;
  }
  Eigen::MatrixXd matrix(const Eigenbasis& basis) const override {
    return component_whitening(basis).colwise().reverse();
  }
};

}  // namespace

std::unique_ptr<DecorrelationRule> pca(const DecorrelationParams& params) {
  return std::make_unique<Pca>(params);
}

}  // namespace lateral::decorrelation
