// Iterative normalization: each training batch whitened by a few Newton iterations, without an
// eigendecomposition.
#include <cmath>

#include "core/decorrelation/batch_whitening.hpp"

namespace lateral::decorrelation {
namespace {

/// S = Σ / tr Σ,  P_0 = I,  P_{k+1} = (3 P_k − P_k³ S) / 2,  R = P_T / √tr Σ → Σ^(−1/2).
/// Back: the same iteration in reverse, and the trace's share.
/// Source: Huang, Zhou, Zhu, Liu & Shao 2019; T = 5, groups of 64.
class IterativeNormalization final : public BatchWhitening {
 public:
  explicit IterativeNormalization(const DecorrelationParams& params)
      : BatchWhitening(params, rule_info()),
        iterations_(static_cast<int>(params.own.value(rule_info(), "iterations"))) {}
  const RuleInfo& info() const override { return rule_info(); }

 private:
  struct Newton final : Whitener {
    Eigen::MatrixXd S;
    double trace = 1;
    std::vector<Eigen::MatrixXd> P;  // P_0 … P_T
    Eigen::MatrixXd gradient(const Eigen::MatrixXd& dR) const override {
      const double root = std::sqrt(trace);
      Eigen::MatrixXd dP = dR / root;
      Eigen::MatrixXd dS = Eigen::MatrixXd::Zero(S.rows(), S.cols());
      for (std::size_t k = P.size() - 1; k-- > 0;) {
        const Eigen::MatrixXd& p = P[k];
        const Eigen::MatrixXd square = p * p;
        dS -= 0.5 * (square * p).transpose() * dP;
        dP = 1.5 * dP -
             0.5 * (dP * (square * S).transpose() + p.transpose() * dP * (p * S).transpose() +
                    square.transpose() * dP * S.transpose());
      }
      const double along_trace =
          -dS.cwiseProduct(S).sum() / trace - dR.cwiseProduct(P.back()).sum() / (2 * trace * root);
      dS /= trace;
      dS.diagonal().array() += along_trace;
      return dS;
    }
  };
  static const RuleInfo& rule_info() {
    static const RuleInfo info{
        "each batch whitened by Newton iterations",
        "Huang, Zhou, Zhu, Liu & Shao 2019",
        [] {
          std::vector<RuleParameter> all = parameters(64, 1e-5);
          all.push_back(
              {"iterations", 5, 1, 20, "T, of Newton's; many more let rounding grow", true});
          return all;
        }(),
        {"none", "none", "all to all in a group: the covariance of the batch, T products"}};
    return info;
  }
  std::unique_ptr<Whitener> whiten(const Eigen::MatrixXd& covariance) const override {
    auto newton = std::make_unique<Newton>();
    newton->trace = covariance.trace();
    newton->S = covariance / newton->trace;
    newton->P.push_back(Eigen::MatrixXd::Identity(covariance.rows(), covariance.cols()));
    for (int k = 0; k < iterations_; ++k) {
      const Eigen::MatrixXd& p = newton->P.back();
      newton->P.push_back(1.5 * p - 0.5 * p * p * p * newton->S);
    }
    newton->R = newton->P.back() / std::sqrt(newton->trace);
    return newton;
  }

  int iterations_;
};

}  // namespace

std::unique_ptr<DecorrelationRule> iterative_normalization(const DecorrelationParams& params) {
  return std::make_unique<IterativeNormalization>(params);
}

}  // namespace lateral::decorrelation
