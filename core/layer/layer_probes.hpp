// Probes of a layer's training step, measured before the layer learns from it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/decorrelation/decorrelator.hpp"

namespace lateral {

/// More samples would cost memory and hardly change a correlation.
inline constexpr Index measured_samples_max = 1024;
/// Inputs and units of a layer whose covariances are decomposed for a probe: O(n³) in double.
inline constexpr Index decomposed_units_max = 512;

/// (· × batch); n inputs and m units. References to whole matrices, not Eigen::Ref: a norm of the
/// latter is summed in another order.
struct ProbedStep {
  const Matrix& before;                   ///< z − mean (n)
  const Matrix& after;                    ///< x (n)
  const Matrix& y;                        ///< activity (m)
  const Matrix& weight;                   ///< W (m × n)
  const Matrix& feedback;                 ///< B, or 0 × 0
  const Matrix& delta;                    ///< the credit rule's (m), or 0 × 0 where it has none
  const Matrix& true_delta;               ///< that of the true error (m), or 0 × 0
  std::optional<SpectrumBound> spectrum;  ///< tracked ends of M's
  /// V ↦ V M⁻¹ R: a change of W as the input before decorrelation sees it.
  std::function<Matrix(const Matrix&)> through_decorrelation;
};

/// Correlations, ranks and norms of the input before and after decorrelation, dead units, the
/// spectrum of M, how W is aligned with B, and angles to the natural gradient: (name, value) of
/// each that is defined, over the first measured_samples_max samples.
std::vector<std::pair<std::string, double>> probe_layer(const ProbedStep& step);

}  // namespace lateral
