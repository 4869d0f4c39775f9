// Power iteration on both ends of M's spectrum.
#include "core/dynamics/spectrum.hpp"

#include <algorithm>

namespace lateral {
namespace {

// What the estimates of a vector that lags behind may be short of, by experience; settle() widens
// the bound where this was not enough.
constexpr Scalar largest_margin = static_cast<Scalar>(1.05);
constexpr Scalar smallest_margin = static_cast<Scalar>(0.9);
// A smaller λ_min than this is not distinguished from zero; the slow directions then settle as they may.
constexpr Scalar smallest_ratio = static_cast<Scalar>(1e-3);
// Share of the input that is mixed into the vector for the largest.
constexpr Scalar mixed = static_cast<Scalar>(0.3);
constexpr Scalar growth_min = static_cast<Scalar>(1.0002);

}  // namespace

SpectrumTracker::SpectrumTracker(Index n, const RandomStream& random)
    : vectors_(n, 2), images_(n, 2) {
  random.fill_normal(vectors_, 1.0);
  vectors_.colwise().normalize();
}

void SpectrumTracker::track(ConstMatrixRef M, ConstVectorRef input, const Compute& compute) {
  if (const Scalar norm = input.norm(); norm > 0) {
    auto v = images_.col(0);  // as it is: iterate() gives it unit length
    v.normalize();
    v += (v.dot(input) < 0 ? -mixed : mixed) / norm * input;
  }
  for (int i = 0; i < iterations_max; ++i) {
    iterate(M, compute);
    const Scalar before = vectors_.col(0).dot(images_.col(0));
    if (images_.col(0).norm() <= growth_min * before) break;
  }
}

void SpectrumTracker::iterate(ConstMatrixRef M, const Compute& compute) {
  for (Index end = 0; end < 2; ++end) {
    const Scalar norm = images_.col(end).norm();
    if (norm > 0) vectors_.col(end) = images_.col(end) / norm;
  }
  refresh(M, compute);
}

void SpectrumTracker::refresh(ConstMatrixRef M, const Compute& compute) {
  images_.setZero();
  compute.add_product(1, {M}, vectors_, images_);
  const Scalar largest = largest_margin * images_.col(0).norm();
  images_.col(1) = largest * vectors_.col(1) - images_.col(1);
  const Scalar smallest = smallest_margin * (largest - images_.col(1).norm());
  bound_ = {std::clamp(smallest, smallest_ratio * largest, largest), largest};
}

void SpectrumTracker::visit_state(const std::string& prefix, const TensorVisitor& visit) {
  visit_matrix(visit, prefix + "spectrum", vectors_);
}

std::vector<TensorSpec> SpectrumTracker::tensors(const std::string& prefix, Index n) {
  return {{prefix + "spectrum", TensorRole::other, {n, 2}}};
}

}  // namespace lateral
