// Leaky rectifier: y = a above zero, 0.01 a below.
#include "core/activation/activation.hpp"

namespace lateral::activation {
namespace {

struct LeakyRelu {
  static constexpr Scalar leak = static_cast<Scalar>(0.01);
  static Scalar value(Scalar a) { return a > 0 ? a : leak * a; }
  static Scalar slope(Scalar a) { return a > 0 ? Scalar{1} : leak; }
  static Scalar difference(Scalar a, Scalar d) {
    const Scalar after = a + d;
    // Across the kink both terms have the same sign, so their sum loses nothing.
    if (a > 0) return after > 0 ? d : leak * after - a;
    return after > 0 ? after - leak * a : leak * d;
  }
};

}  // namespace

std::unique_ptr<Activation> leaky_relu() { return std::make_unique<Elementwise<LeakyRelu>>(); }

}  // namespace lateral::activation
