// Explicit Euler: x ← x + h (z − M x).
#include "core/dynamics/integrator.hpp"

namespace lateral::integrator {
namespace {

/// Converges while h < 2 / λ_max. The default h = 2 / (λ_min + λ_max) is the fastest one: each step
/// shrinks the error by (κ − 1)/(κ + 1), κ = λ_max / λ_min. One product a step, the residual's.
class Euler final : public Integrator {
 public:
  void begin(const LateralOperator&, const SpectrumBound& bound, Scalar step) override {
    h_ = step > 0 ? step : 2 / (bound.smallest + bound.largest);
  }
  void advance(const LateralOperator&, SettlingColumns columns) override {
    columns.x += h_ * columns.residual;
  }

 private:
  Scalar h_ = 0;
};

}  // namespace

std::unique_ptr<Integrator> euler() { return std::make_unique<Euler>(); }

}  // namespace lateral::integrator
