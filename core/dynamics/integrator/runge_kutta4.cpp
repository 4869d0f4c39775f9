// Classical Runge–Kutta of fourth order, for following the trajectory and not only its end.
#include "core/dynamics/integrator.hpp"

namespace lateral::integrator {
namespace {

/// k1 = z − M x = r,  k2 = r − (h/2) M k1,  k3 = r − (h/2) M k2,  k4 = r − h M k3,
/// x ← x + (h/6) (k1 + 2 k2 + 2 k3 + k4).
/// Converges while h < 2.78 / λ_max; the default is h = 2 / λ_max. Three products beside the
/// residual's. `direction` and `work` hold the k.
class RungeKutta4 final : public Integrator {
 public:
  void begin(const LateralOperator&, const SpectrumBound& bound, Scalar step) override {
    h_ = step > 0 ? step : 2 / bound.largest;
  }
  void advance(const LateralOperator& M, SettlingColumns columns) override {
    auto& [x, r, a, b] = columns;
    x += (h_ / 6) * r;
    a = r;
    M.add_product(-h_ / 2, r, a);  // k2
    x += (h_ / 3) * a;
    b = r;
    M.add_product(-h_ / 2, a, b);  // k3
    x += (h_ / 3) * b;
    a = r;
    M.add_product(-h_, b, a);  // k4
    x += (h_ / 6) * a;
  }

 private:
  Scalar h_ = 0;
};

}  // namespace

std::unique_ptr<Integrator> runge_kutta4() { return std::make_unique<RungeKutta4>(); }

}  // namespace lateral::integrator
