// When R is computed anew, and what the weights make of it.
#include "core/decorrelation/direct_whitening.hpp"

#include <Eigen/LU>

namespace lateral {

DirectWhitening::DirectWhitening(const DecorrelationParams& params, const RuleInfo& info)
    : params_(params),
      momentum_(params.own.value(info, "momentum")),
      ridge_(params.own.value(info, "ridge")),
      interval_(params.own.value(info, "interval")),
      freeze_after_(params.own.value(info, "freeze_after")) {}

std::vector<RuleParameter> DirectWhitening::parameters(double interval, double ridge) {
  return {{"interval", interval, 1, 1e6, "steps between two computations of R", true},
          {"momentum", 0.01, 1e-9, 1, "of the running covariance"},
          {"ridge", ridge, 1e-12, 1e6, "floor of the eigenvalues, over their mean"},
          {"freeze_after", 0, 0, 1e6, "steps after which R stays as it is; 0: never", true}};
}

void DirectWhitening::begin(Index n, const RandomStream&, DecorrelationState& state) {
  begin_scaled_identity(n, params_, state);
  covariance_ = RunningCovariance(n, momentum_);
  steps_.setZero(1);
}

std::vector<TensorSpec> DirectWhitening::own_tensors(const std::string& prefix, Index n) const {
  std::vector<TensorSpec> tensors = RunningCovariance::tensors(prefix, n);
  tensors.push_back({prefix + "steps_since", TensorRole::other, {1}});
  return tensors;
}

DecorrelationUpdate DirectWhitening::update(const DecorrelationView& view,
                                            DecorrelationState& state) {
  if (freeze_after_ > 0 && covariance_.count() >= freeze_after_) return {};
  covariance_.add(view.zc, view.compute);
  steps_[0] = steps_[0] + 1 >= static_cast<Scalar>(interval_) ? 0 : steps_[0] + 1;
  const bool last = freeze_after_ > 0 && covariance_.count() >= freeze_after_;
  if (steps_[0] != 0 && !last) return {};
  const Eigen::MatrixXd C = covariance_.value().cast<double>();
  const double mean = C.trace() / static_cast<double>(C.rows());
  if (!(mean > 0)) return {};  // nothing has varied yet
  const Eigen::MatrixXd R = matrix(eigenbasis(C, ridge_ * mean));
  DecorrelationUpdate update;
  if (reparametrises()) {
    // K R_new = R_old  ⇔  R_newᵀ Kᵀ = R_oldᵀ
    factor_ = R.transpose()
                  .partialPivLu()
                  .solve(Eigen::MatrixXd(state.R.cast<double>().transpose()))
                  .transpose()
                  .cast<Scalar>();
    update.weight_factor = &factor_;
  }
  state.R = R.cast<Scalar>();
  return update;
}

}  // namespace lateral
