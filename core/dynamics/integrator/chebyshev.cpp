// Chebyshev semi-iteration: Euler with a momentum, which needs the fewest steps of all methods that
// use only the bounds of the spectrum.
#include "core/dynamics/integrator.hpp"

namespace lateral::integrator {
namespace {

/// With θ = (λ_max + λ_min)/2, ε = (λ_max − λ_min)/2:
///   first    d = r / θ,                                     q = ε / θ
///   then     q' = ε / (2θ − ε q),  d ← q' q d + 2 r / (2θ − ε q),  q ← q'
///   x ← x + d
/// It settles in about √κ steps where Euler takes κ. The coefficients come from the bound alone: a
/// fixed step has no meaning here and is not used. One product a step, the residual's.
/// Source: Golub & Varga 1961; Saad, "Iterative methods", algorithm 12.1.
class Chebyshev final : public Integrator {
 public:
  void begin(const LateralOperator&, const SpectrumBound& bound, Scalar) override {
    centre_ = (bound.largest + bound.smallest) / 2;
    half_width_ = (bound.largest - bound.smallest) / 2;
    first_ = true;
  }
  bool takes_step() const override { return false; }
  void advance(const LateralOperator&, SettlingColumns columns) override {
    Scalar keep = 0;
    Scalar rate = 1 / centre_;
    if (first_) {
      ratio_ = half_width_ / centre_;
    } else {
      const Scalar denominator = 2 * centre_ - half_width_ * ratio_;
      const Scalar ratio = half_width_ / denominator;
      keep = ratio * ratio_;
      rate = 2 / denominator;
      ratio_ = ratio;
    }
    first_ = false;
    columns.direction = keep * columns.direction + rate * columns.residual;
    columns.x += columns.direction;
  }

 private:
  Scalar centre_ = 1, half_width_ = 0, ratio_ = 0;
  bool first_ = true;
};

}  // namespace

std::unique_ptr<Integrator> chebyshev() { return std::make_unique<Chebyshev>(); }

}  // namespace lateral::integrator
