// BatchWhitening: the rules that whiten a training batch by its own covariance, group by group.
#pragma once

#include "core/decorrelation/rule.hpp"

namespace lateral {

/// Units in groups of `group_size` (0: all in one; the last may be smaller):
///   Σ = (1/b) zc zcᵀ + ε I a group,  R = whitener(Σ),  x = R zc in training,
/// and in evaluation the running mean of R. The error goes back through R and through Σ:
///   error_zc = Rᵀ G + (1/b) (dΣ + dΣᵀ) zc,  dΣ from dR = G zcᵀ.
/// The mean is Demean::batch's. In its papers an affine map follows; here that is W and b.
class BatchWhitening : public DecorrelationRule {
 public:
  BatchWhitening(const DecorrelationParams& params, const RuleInfo& info);
  DecorrelationModes modes() const override { return {true, false}; }
  void begin(Index n, const RandomStream& random, DecorrelationState& state) override;
  DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) override;
  bool whitens_batch() const override { return true; }
  const Matrix* batch_matrix(ConstMatrixRef zc, const Compute& compute) override;
  void batch_backward(ConstMatrixRef zc, ConstMatrixRef G, MatrixRef error_at_zc,
                      const Compute& compute) const override;

 protected:
  /// R of a group, and what its gradient needs.
  struct Whitener {
    virtual ~Whitener() = default;
    Eigen::MatrixXd R;
    /// ∂loss/∂Σ from ∂loss/∂R.
    virtual Eigen::MatrixXd gradient(const Eigen::MatrixXd& dR) const = 0;
  };
  virtual std::unique_ptr<Whitener> whiten(const Eigen::MatrixXd& covariance) const = 0;
  /// group_size, ridge and momentum, for their info().
  static std::vector<RuleParameter> parameters(double group_size, double ridge);

 private:
  DecorrelationParams params_;
  Index group_size_;
  double ridge_;
  Scalar momentum_;
  std::vector<std::unique_ptr<Whitener>> groups_;
  Matrix batch_R_;
};

}  // namespace lateral
