// Generalized whitened networks: prong on the leading components alone, more often.
#include <algorithm>
#include <cmath>

#include "core/decorrelation/direct_whitening.hpp"

namespace lateral::decorrelation {
namespace {

/// As prong, but only the leading `components` of the eigenvalues are equalized; the smaller ones
/// count as the last of those, so that R stays invertible and noise is not blown up.
/// Source: Luo 2017, of which no public code is known: a variant of our own in its spirit, without
/// its estimate of the next layer's covariance from W.
class Gwnn final : public DirectWhitening {
 public:
  explicit Gwnn(const DecorrelationParams& params)
      : DirectWhitening(params, rule_info()),
        components_(params.own.value(rule_info(), "components")) {}
  const RuleInfo& info() const override { return rule_info(); }
  bool reparametrises() const override { return true; }

 private:
  static const RuleInfo& rule_info() {
    static const RuleInfo info{
        "prong on the leading components",
        "Luo 2017, own variant",
        [] {
          std::vector<RuleParameter> all = parameters(20, 0.01);
          all.push_back({"components", 0.5, 0, 1, "share of the eigenvalues that is equalized"});
          return all;
        }(),
        {"none", "none", "all to all: the covariance of the layer's input and its eigenvectors"}};
    return info;
  }
  Eigen::MatrixXd matrix(const Eigenbasis& basis) const override {
    const auto n = static_cast<double>(basis.values.size());
    const auto kept = static_cast<Index>(std::max(1.0, std::ceil(components_ * n)));
    const double last = basis.values[basis.values.size() - kept];  // they ascend
    return component_whitening({basis.vectors, basis.values.cwiseMax(last)});
  }

  double components_;
};

}  // namespace

std::unique_ptr<DecorrelationRule> gwnn(const DecorrelationParams& params) {
  return std::make_unique<Gwnn>(params);
}

}  // namespace lateral::decorrelation
