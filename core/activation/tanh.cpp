// Hyperbolic tangent: y = tanh(a).
#include <cmath>

#include "core/activation/activation.hpp"

namespace lateral::activation {
namespace {

/// 1 / cosh(a), never overflowing.
Scalar sech(Scalar a) {
  const Scalar e = std::exp(-std::abs(a));
  return 2 * e / (1 + e * e);
}

struct Tanh {
  static Scalar value(Scalar a) { return std::tanh(a); }
  /// sech², because 1 − tanh² has no correct digit left where tanh has saturated.
  static Scalar slope(Scalar a) {
    const Scalar s = sech(a);
    return s * s;
  }
  /// tanh(a + d) − tanh(a) = sinh(d) / (cosh(a + d) cosh(a)), a product: nothing cancels.
  static Scalar difference(Scalar a, Scalar d) {
    if (std::abs(d) < 20) return std::sinh(d) * sech(a) * sech(a + d);
    return std::tanh(a + d) - std::tanh(a);  // sinh might overflow; nothing left to lose here
  }
};

}  // namespace

std::unique_ptr<Activation> tanh() { return std::make_unique<Elementwise<Tanh>>(); }

}  // namespace lateral::activation
