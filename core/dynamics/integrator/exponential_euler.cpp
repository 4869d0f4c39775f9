// Exponential Euler: each unit's own leak is integrated exactly, its neighbours held over the step.
#include <cmath>

#include "core/dynamics/integrator.hpp"

namespace lateral::integrator {
namespace {

/// x_i ← x_i + φ_i (z − M x)_i,  φ_i = (1 − exp(−h M_ii)) / M_ii: the exact solution over h of
/// dx_i/dt = z_i − Σ_{j≠i} M_ij x_j − M_ii x_i with the x_j held. φ_i < h, so it converges wherever
/// Euler does, and h = 2 / λ_max is allowed. One product a step, the residual's.
class ExponentialEuler final : public Integrator {
 public:
  void begin(const LateralOperator& M, const SpectrumBound& bound, Scalar step) override {
    const Scalar h = step > 0 ? step : 2 / bound.largest;
    phi_ = M.matrix.diagonal().unaryExpr(
        [h](Scalar leak) { return leak == 0 ? h : -std::expm1(-h * leak) / leak; });
  }
  void advance(const LateralOperator&, SettlingColumns columns) override {
    columns.x.array() += columns.residual.array().colwise() * phi_.array();
  }

 private:
  Vector phi_;
};

}  // namespace

std::unique_ptr<Integrator> exponential_euler() { return std::make_unique<ExponentialEuler>(); }

}  // namespace lateral::integrator
