// Decorrelated batch normalization: each training batch whitened by the inverse root of its own
// covariance.
#include "core/decorrelation/batch_whitening.hpp"
#include "core/decorrelation/covariance.hpp"

namespace lateral::decorrelation {
namespace {

/// R = Σ^(−1/2) = E diag(s^(−1/2)) Eᵀ, the root that turns least ("ZCA"; along components the axes
/// would swap from batch to batch). Back, with A = Eᵀ dR E:
///   dΣ = E (A ∘ F) Eᵀ,  F_ij = −1 / (√s_i √s_j (√s_i + √s_j)),
/// the divided differences of s^(−1/2), finite also where eigenvalues meet.
/// Source: Huang, Yang, Lang & Deng 2018; groups of 16. Their ε is 1e-5 and less, where units that
/// hardly vary get running matrices that evaluation cannot use.
class DecorrelatedBatchNormalization final : public BatchWhitening {
 public:
  explicit DecorrelatedBatchNormalization(const DecorrelationParams& params)
      : BatchWhitening(params, rule_info()) {}
  const RuleInfo& info() const override { return rule_info(); }

 private:
  struct Root final : Whitener {
    Eigenbasis basis;
    Eigen::MatrixXd gradient(const Eigen::MatrixXd& dR) const override {
      const Eigen::VectorXd root = basis.values.cwiseSqrt();
      Eigen::MatrixXd A = basis.vectors.transpose() * dR * basis.vectors;
      for (Index j = 0; j < A.cols(); ++j)
        for (Index i = 0; i < A.rows(); ++i)
          A(i, j) *= -1 / (root[i] * root[j] * (root[i] + root[j]));
      return basis.vectors * A * basis.vectors.transpose();
    }
  };
  static const RuleInfo& rule_info() {
    static const RuleInfo info{
        "each batch whitened by the inverse root of its covariance",
        "Huang, Yang, Lang & Deng 2018",
        parameters(16, 1e-3),
        {"none", "none", "all to all in a group: the covariance of the batch, its eigenvectors"}};
    return info;
  }
  std::unique_ptr<Whitener> whiten(const Eigen::MatrixXd& covariance) const override {
    constexpr double smallest = 1e-12;  // rounding may leave an eigenvalue of 0 below it
    auto root = std::make_unique<Root>();
    root->basis = eigenbasis(covariance, smallest);
    root->R = symmetric_power(root->basis, -0.5);
    return root;
  }
};

}  // namespace

std::unique_ptr<DecorrelationRule> decorrelated_batch_normalization(
    const DecorrelationParams& params) {
  return std::make_unique<DecorrelatedBatchNormalization>(params);
}

}  // namespace lateral::decorrelation
