// Noise from counter-based random streams, in blocks of columns.
#include "core/layer/perturbation.hpp"

#include "core/random.hpp"

namespace lateral {
namespace {

/// Drawing a normal number, in floating point operations.
constexpr double operations_of_a_number = 100;
constexpr Index sample_block = 32, weight_block = 128;

}  // namespace

void Perturbation::draw_unit_noise(std::uint64_t step, Index first, MatrixRef noise,
                                   const Compute& compute) const {
  const RandomStream random(seed_, node_, step, Purpose::node_noise);
  compute.for_columns(
      noise.cols(), sample_block, operations_of_a_number * static_cast<double>(noise.size()),
      [&](Index column, Index columns) {
        random.fill_normal(noise.middleCols(column, columns), sigma_,
                           static_cast<std::uint64_t>((first + column) * noise.rows()));
      });
}

void Perturbation::draw_weight_noise(std::uint64_t step, MatrixRef noise,
                                     const Compute& compute) const {
  const RandomStream random(seed_, node_, step, Purpose::weight_noise);
  compute.for_columns(noise.cols(), weight_block,
                      operations_of_a_number * static_cast<double>(noise.size()),
                      [&](Index column, Index columns) {
                        random.fill_normal(noise.middleCols(column, columns), sigma_,
                                           static_cast<std::uint64_t>(column * noise.rows()));
                      });
}

void Perturbation::draw_bias_noise(std::uint64_t step, MatrixRef noise) const {
  RandomStream(seed_, node_, step, Purpose::bias_noise).fill_normal(noise, sigma_);
}

void Perturbation::weight_perturbation_gradient(std::uint64_t step, double mean_reward, Index first,
                                                MatrixRef gradient) const {
  RandomStream(seed_, node_, step, Purpose::weight_noise)
      .fill_normal(gradient, sigma_, static_cast<std::uint64_t>(first * gradient.rows()));
  gradient *= reward_scale(mean_reward);
}

void Perturbation::bias_perturbation_gradient(std::uint64_t step, double mean_reward,
                                              MatrixRef gradient) const {
  draw_bias_noise(step, gradient);
  gradient *= reward_scale(mean_reward);
}

}  // namespace lateral
