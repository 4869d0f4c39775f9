// Groups, the running R, and the way back through the covariance.
#include "core/decorrelation/batch_whitening.hpp"

namespace lateral {

BatchWhitening::BatchWhitening(const DecorrelationParams& params, const RuleInfo& info)
    : params_(params),
      group_size_(static_cast<Index>(params.own.value(info, "group_size"))),
      ridge_(params.own.value(info, "ridge")),
      momentum_(static_cast<Scalar>(params.own.value(info, "momentum"))) {}

std::vector<RuleParameter> BatchWhitening::parameters(double group_size, double ridge) {
  return {{"group_size", group_size, 0, 65536, "units that are whitened together; 0: all"},
          {"ridge", ridge, 0, 1e6, "ε on the diagonal of the covariance"},
          {"momentum", 0.1, 1e-9, 1, "of the running R that evaluation uses"}};
}

void BatchWhitening::begin(Index n, const RandomStream&, DecorrelationState& state) {
  begin_scaled_identity(n, params_, state);
  if (group_size_ == 0) group_size_ = n;
  groups_.resize(static_cast<std::size_t>((n + group_size_ - 1) / group_size_));
  batch_R_.setZero(n, n);
}

const Matrix* BatchWhitening::batch_matrix(ConstMatrixRef zc, const Compute& compute) {
  const auto b = static_cast<double>(zc.cols());
  compute.for_columns(zc.rows(), group_size_, 2.0 * static_cast<double>(zc.size() * group_size_),
                      [&](Index first, Index units) {
                        const Eigen::MatrixXd own = zc.middleRows(first, units).cast<double>();
                        Eigen::MatrixXd covariance = own * own.transpose() / b;
                        covariance.diagonal().array() += ridge_;
                        std::unique_ptr<Whitener>& group =
                            groups_[static_cast<std::size_t>(first / group_size_)];
                        group = whiten(covariance);
                        batch_R_.block(first, first, units, units) = group->R.cast<Scalar>();
                      });
  return &batch_R_;
}

void BatchWhitening::batch_backward(ConstMatrixRef zc, ConstMatrixRef G, MatrixRef error_at_zc,
                                    const Compute& compute) const {
  const auto b = static_cast<double>(zc.cols());
  compute.for_columns(
      zc.rows(), group_size_, 6.0 * static_cast<double>(zc.size() * group_size_),
      [&](Index first, Index units) {
        const Whitener& group = *groups_[static_cast<std::size_t>(first / group_size_)];
        const Eigen::MatrixXd own = zc.middleRows(first, units).cast<double>();
        const Eigen::MatrixXd error = G.middleRows(first, units).cast<double>();
        const Eigen::MatrixXd dSigma = group.gradient(error * own.transpose());
        error_at_zc.middleRows(first, units) =
            (group.R.transpose() * error + (dSigma + dSigma.transpose()) * own / b).cast<Scalar>();
      });
}

DecorrelationUpdate BatchWhitening::update(const DecorrelationView&, DecorrelationState& state) {
  state.R += momentum_ * (batch_R_ - state.R);
  return {};
}

}  // namespace lateral
