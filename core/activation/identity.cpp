// Identity: y = a, the activation of an output layer.
#include "core/activation/activation.hpp"

namespace lateral::activation {
namespace {

struct Identity {
  static Scalar value(Scalar a) { return a; }
  static Scalar slope(Scalar) { return 1; }
  static Scalar difference(Scalar, Scalar d) { return d; }
};

}  // namespace

std::unique_ptr<Activation> identity() { return std::make_unique<Elementwise<Identity>>(); }

}  // namespace lateral::activation
