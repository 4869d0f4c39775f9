// Whether numbers are finite, and which tensor of a state is not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/tensor.hpp"

namespace lateral {

/// True if no value is infinite or NaN. One pass, at the speed of memory or cache.
bool all_finite(ConstMatrixRef values);

/// A quantity that is not finite, or has changed too much.
struct Divergence {
  std::string quantity;    ///< such as "gradient of W", or a tensor's name
  std::uint64_t step = 0;  ///< of training, the one that made it
  double value = 0;        ///< the first of its values that is not finite
};

/// `quantity` as a Divergence, if it is one.
std::optional<Divergence> divergence_of(ConstMatrixRef values, const std::string& quantity,
                                        std::uint64_t step);

/// The first tensor that is not finite of those that `visit_all` shows.
std::optional<Divergence> divergence_of(const VisitTensors& visit_all, std::uint64_t step);

}  // namespace lateral
