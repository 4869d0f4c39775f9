// SpectrumTracker: follows the ends of M's spectrum while M changes slowly.
#pragma once

#include "core/dynamics/integrator.hpp"
#include "core/random.hpp"
#include "core/tensor.hpp"
#include "core/types.hpp"

namespace lateral {

/// Power iteration that keeps its vectors from step to step. One call of track() costs
/// `iterations` products with M for each end; M moves by O(η) a step, so the vectors stay close.
///   largest:  v ← M v / ‖M v‖,              λ_max ≈ ‖M v‖
///   smallest: w ← (c I − M) w / ‖·‖,        λ_min ≈ c − ‖(c I − M) w‖,  c the bound on λ_max
/// Both estimates err towards the inside of the spectrum; bound() widens them by a margin.
/// M is close to symmetric with a positive spectrum (it starts at I and its updates are products of
/// nearly commuting positive factors; see rules on asymmetry), which the estimates presuppose;
/// settle() checks the residual whatever the bound says.
class SpectrumTracker {
 public:
  SpectrumTracker() = default;
  /// Starts from random unit vectors of length n.
  SpectrumTracker(Index n, const RandomStream& random);
  void track(ConstMatrixRef M);
  SpectrumBound bound() const { return bound_; }
  /// "spectrum" (n × 2): both vectors. After loading, track() rebuilds the bound.
  void visit_state(const std::string& prefix, const TensorVisitor& visit);

 private:
  Matrix vectors_;  // (n × 2), unit columns: for the largest, for the smallest
  Vector image_;    // (n) work
  SpectrumBound bound_{1, 1};
};

}  // namespace lateral
