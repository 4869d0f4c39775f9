// Perturbation: the noise of perturbed passes, and the weight gradient that follows from a reward.
#pragma once

#include <cstdint>

#include "core/compute/compute.hpp"
#include "core/types.hpp"

namespace lateral {

/// What a layer adds to its units or weights in a perturbed pass: N(0, σ²), a pure function of
/// (seed, node, step), so that it can be drawn again instead of being kept.
class Perturbation {
 public:
  Perturbation(double sigma, std::uint64_t seed, std::uint32_t node)
      : sigma_(sigma), seed_(seed), node_(node) {}

  /// ξ (units × b) of the samples from `first` on.
  void draw_unit_noise(std::uint64_t step, Index first, MatrixRef noise,
                       const Compute& compute) const;
  /// ξ_W (units × inputs).
  void draw_weight_noise(std::uint64_t step, MatrixRef noise, const Compute& compute) const;
  /// ξ_b (units × 1).
  void draw_bias_noise(std::uint64_t step, MatrixRef noise) const;

  /// (mean reward / σ²) ξ_W for the columns of W from `first` on: the gradient where weights are
  /// perturbed.  gradient (units × columns)
  void weight_perturbation_gradient(std::uint64_t step, double mean_reward, Index first,
                                    MatrixRef gradient) const;
  /// (mean reward / σ²) ξ_b.
  void bias_perturbation_gradient(std::uint64_t step, double mean_reward, MatrixRef gradient) const;

 private:
  Scalar reward_scale(double mean_reward) const {
    return static_cast<Scalar>(mean_reward / (sigma_ * sigma_));
  }
  double sigma_;
  std::uint64_t seed_;
  std::uint32_t node_;
};

}  // namespace lateral
