// The rule of Ahmad 2024, "Correlations are ruining your gradient descent": R ← g (R − η C R).
#include <cmath>

#include "core/check.hpp"
#include "core/decorrelation/matrix_update.hpp"
#include "core/decorrelation/rule.hpp"

namespace lateral::decorrelation {
namespace {

/// C is the full second moment of x, its diagonal included, so that the fixed point is white up to
/// one scale (with a gain a unit: decorrelated, each unit's scale kept).
/// gain (S samples, z raw or centred as asked for):
///   norm_ratio  g   = (1/S) Σ_s ‖z_s‖ / √(‖x_s‖² + 1e-8)
///   per_unit    g_i = rms(z_i) / rms(x_i);  1 where the mean x_i² < 1e-8
///   none        g   = 1
/// A silent unit, a frozen one, and a batch of nothing but zeros have no scale to restore: gain 1.
/// A learning rate of 0 does not freeze R: its gain goes on (decorrelation.freeze does).
/// In closed form the exact update is as published, whatever η. M has to stay invertible, so there
/// η is shortened where 1 − η λ_max(C) would come close to zero.
class Ahmad2024 final : public DecorrelationRule {
 public:
  explicit Ahmad2024(const DecorrelationParams& params) : params_(params) {}

  const RuleInfo& info() const override {
    static const RuleInfo info{
        "whitens up to one scale, at a speed that does not depend on the scale of R; with learning "
        "rate 0 its gain goes on (decorrelation.freeze stops it)",
        "Ahmad 2024",
        {},
        {"M_ij, u_i = (M x)_i (update: implicit: the drive zc_i)", "x_j of the lateral inputs",
         "g (none with gain: per_unit or none); update: exact: ‖x‖² too, and for several samples "
         "at once all to all"}};
    return info;
  }
  void begin(Index n, const RandomStream&, DecorrelationState& state) override {
    begin_scaled_identity(n, params_, state);
  }
  DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) override {
    return state.M.size() > 0 ? update_lateral(view, state.M) : update_inverse(view, state.R);
  }

 private:
  DecorrelationUpdate update_inverse(const DecorrelationView& view, MatrixRef R) {
    const double gain = fill_gain(view);
    if (params_.update == MatrixUpdate::implicit)
      update_inverse_implicit(R, view.x, params_.learning_rate, gain_, work_, view.compute);
    else if (view.x.cols() == 1 && view.deferred != nullptr)
      defer(view.x.col(0), *view.deferred);
    else
      update_inverse_exact(R, view.x, params_.learning_rate, gain_, work_, view.compute);
    return {gain, false};
  }

  DecorrelationUpdate update_lateral(const DecorrelationView& view, MatrixRef M) {
    const double gain = fill_gain(view);
    if (params_.update == MatrixUpdate::implicit) {
      update_lateral_implicit(M, view.zc, view.x, params_.learning_rate, gain_, view.compute);
      return {gain, false};
    }
    // U from the settled x: the drive zc differs from it by what settling left over, and M would
    // not stay an exact inverse.
    drive_.setZero(view.x.rows(), view.x.cols());
    view.compute.add_product(1, {M}, view.x, drive_);
    const GuardedRate rate = guard_rate(view.x, params_.learning_rate, work_);
    if (view.x.cols() == 1)
      update_lateral_sherman_morrison(M, drive_.col(0), view.x.col(0), rate.eta, gain_);
    else
      update_lateral_woodbury(M, drive_, view.x, rate.eta, gain_, work_, view.compute);
    return {gain, rate.shortened};
  }

  void defer(ConstVectorRef x, RankOneUpdate& deferred) const {
    deferred.x = x;
    deferred.gain = gain_;
    deferred.eta = params_.learning_rate;
    deferred.waiting = true;
  }

  /// Fills gain_; returns g, or the mean over the units of a gain a unit.
  double fill_gain(const DecorrelationView& view) {
    const Eigen::Ref<const Matrix>& z =
        params_.gain_reference == GainReference::raw ? view.z : view.zc;
    const Index n = view.x.rows();
    const Index samples = view.x.cols();
    LATERAL_CHECK(samples > 0);
    gain_.setOnes(n);
    switch (params_.gain) {
      case Gain::norm_ratio: {
        double ratio = 0;
        for (Index s = 0; s < samples; ++s)
          ratio += std::sqrt(z.col(s).cast<double>().squaredNorm() /
                             (view.x.col(s).cast<double>().squaredNorm() + 1e-8));
        ratio /= static_cast<double>(samples);
        if (ratio == 0) return 1;
        gain_ = (view.active.array() != 0).select(static_cast<Scalar>(ratio), gain_);
        return ratio;
      }
      case Gain::per_unit:
        for (Index i = 0; i < n; ++i) {
          const double z_power = z.row(i).cast<double>().squaredNorm();
          const double x_power = view.x.row(i).cast<double>().squaredNorm();
          if (view.active[i] != 0 && x_power >= 1e-8 * static_cast<double>(samples) && z_power > 0)
            gain_[i] = static_cast<Scalar>(std::sqrt(z_power / x_power));
        }
        break;
      case Gain::none:
        break;
    }
    return gain_.cast<double>().mean();
  }

  DecorrelationParams params_;
  Vector gain_;
  Matrix drive_;
  UpdateWorkspace work_;
};

}  // namespace

std::unique_ptr<DecorrelationRule> ahmad2024(const DecorrelationParams& params) {
  return std::make_unique<Ahmad2024>(params);
}

}  // namespace lateral::decorrelation
