// Rectifier: y = max(a, 0).
#include <algorithm>

#include "core/activation/activation.hpp"

namespace lateral::activation {
namespace {

struct Relu {
  static Scalar value(Scalar a) { return a > 0 ? a : 0; }
  static Scalar slope(Scalar a) { return a > 0 ? Scalar{1} : Scalar{0}; }
  static Scalar difference(Scalar a, Scalar d) { return a > 0 ? std::max(d, -a) : value(a + d); }
};

}  // namespace

std::unique_ptr<Activation> relu() { return std::make_unique<Elementwise<Relu>>(); }

}  // namespace lateral::activation
