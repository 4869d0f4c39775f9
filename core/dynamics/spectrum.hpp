// SpectrumTracker: follows the ends of M's spectrum while M changes slowly.
#pragma once

#include "core/compute/compute.hpp"
#include "core/dynamics/integrator.hpp"
#include "core/random.hpp"
#include "core/tensor.hpp"
#include "core/types.hpp"

namespace lateral {

/// Power iteration that keeps its vectors from step to step. M moves by O(η) a step, so few
/// iterations a step keep the vectors close: until ‖p‖ exceeds v · p by less than 0.02 %, and at
/// most iterations_max. In the first steps M may grow in a direction that v does not have yet: an
/// input that M was updated by does, and is mixed into v. Each iteration costs one product of M
/// with a vector for each end:
///   largest:  p = M v,          λ_max ≈ ‖p‖,        next v = p / ‖p‖
///   smallest: q = c w − M w,    λ_min ≈ c − ‖q‖,    next w = q / ‖q‖,   c the bound on λ_max
/// Both estimates err towards the inside of the spectrum; bound() widens them by a margin.
/// M is close to symmetric with a positive spectrum (it starts at I and its updates are products of
/// nearly commuting positive factors), which the estimates presuppose; settle() checks the residual
/// whatever the bound says.
/// The state is v and w alone: p, q and the bound are pure functions of (v, w, M), so that a
/// resumed training continues with the same bits.
class SpectrumTracker {
 public:
  SpectrumTracker() = default;
  /// Starts from random unit vectors of length n.
  SpectrumTracker(Index n, const RandomStream& random);
  static constexpr int iterations_max = 16;
  /// The next vectors, and the bound for this M.  REQUIRES: refresh() was called since the start
  ///   input (n), one that M was updated by, or empty
  void track(ConstMatrixRef M, ConstVectorRef input, const Compute& compute = plain_compute());
  /// The bound for this M with the vectors as they are: at the start and after loading.
  void refresh(ConstMatrixRef M, const Compute& compute = plain_compute());
  /// 0 < smallest ≤ largest, whatever M is, as long as it is finite.
  SpectrumBound bound() const { return bound_; }
  /// prefix + "spectrum" (n × 2): both vectors.
  void visit_state(const std::string& prefix, const TensorVisitor& visit);
  /// What visit_state() shows for an M of n rows.
  static std::vector<TensorSpec> tensors(const std::string& prefix, Index n);

 private:
  void iterate(ConstMatrixRef M, const Compute& compute);

  Matrix vectors_;  // (n × 2), unit columns: for the largest, for the smallest
  Matrix images_;   // (n × 2): p, q
  SpectrumBound bound_{1, 1};
};

}  // namespace lateral
