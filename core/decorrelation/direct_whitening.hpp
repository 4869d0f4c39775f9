// DirectWhitening: the rules that compute R from the running covariance, now and then.
#pragma once

#include "core/decorrelation/covariance.hpp"
#include "core/decorrelation/rule.hpp"

namespace lateral {

/// Every `interval` steps, and until `freeze_after` if that is not 0: R from the eigenbasis of the
/// running covariance, eigenvalues floored at `ridge` times their mean. Until then R is as it
/// began. Use it with sample_fraction: 1, since it learns from the samples that it is shown. With
/// reparametrises() the layer's weights make up for the change of R: W ← W R_old R_new⁻¹. O(n³)
/// where R changes.
class DirectWhitening : public DecorrelationRule {
 public:
  DirectWhitening(const DecorrelationParams& params, const RuleInfo& info);
  DecorrelationModes modes() const override { return {true, false}; }
  void begin(Index n, const RandomStream& random, DecorrelationState& state) override;
  DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) override;
  void visit_state(const std::string& prefix, const TensorVisitor& visit) override {
    covariance_.visit_state(prefix, visit);
    visit_vector(visit, prefix + "steps_since", steps_);
  }
  std::vector<TensorSpec> own_tensors(const std::string& prefix, Index n) const override;

 protected:
  /// R for this basis, in double precision.
  virtual Eigen::MatrixXd matrix(const Eigenbasis& basis) const = 0;
  /// The parameters that all of them have, for their info(): interval, momentum, ridge,
  /// freeze_after.
  static std::vector<RuleParameter> parameters(double interval, double ridge);

 private:
  DecorrelationParams params_;
  double momentum_, ridge_, interval_, freeze_after_;
  RunningCovariance covariance_;
  Vector steps_;  // (1) since R was computed
  Matrix factor_;
};

}  // namespace lateral
