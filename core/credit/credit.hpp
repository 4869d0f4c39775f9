// CreditRule: how a layer learns what its part in the error was, from what reaches it.
#pragma once

#include <memory>
#include <optional>

#include "core/check.hpp"
#include "core/compute/compute.hpp"
#include "core/table.hpp"
#include "core/types.hpp"

namespace lateral {

/// What travels to a layer so that it can assign credit.
enum class Signal {
  error,         ///< from the layer above, through its synapses: ∂loss/∂y here, or a stand-in
  output_error,  ///< ∂loss/∂(network output), broadcast by the readout to every layer
  reward,        ///< one number a sample, L(perturbed) − L(clean), broadcast to every layer
};

/// Shape and initial law U(−bound, bound) of a fixed feedback matrix B.
struct FeedbackShape {
  Index rows;
  Index cols;
  double bound;
};

/// All that a layer's credit rule can see in one step: what reaches its own units and synapses.
struct CreditView {
  Eigen::Ref<const Matrix>
      signal;  ///< error (units × b) | output_error (classes × b) | reward (1 × b)
  Eigen::Ref<const Matrix> slope;  ///< f'(a) (units × b)
  /// ξ (units × b) that this layer added to a; empty unless the rule perturbs
  Eigen::Ref<const Matrix> noise;
  Eigen::Ref<const Matrix> feedback;  ///< B, as feedback_shape() says; empty if the rule has none
  bool is_output;                     ///< the layer whose y is the network's output
  double sigma;                       ///< standard deviation of ξ
};

/// The weight gradient is, for every rule, dW = (1/b) Σ_n δ_n x_nᵀ and db = (1/b) Σ_n δ_n:
/// a rule says what δ is and what it passes back. Rules keep no state.
class CreditRule {
 public:
  virtual ~CreditRule() = default;
  virtual Signal signal() const = 0;
  /// True if δ xᵀ is the gradient of the loss itself, so that there is nothing to compare it with.
  virtual bool is_exact() const { return false; }
  /// Shape and law of B for a layer with these sizes, or nothing (the default).
  virtual std::optional<FeedbackShape> feedback_shape(Index /*units*/, Index /*inputs*/,
                                                      Index /*classes*/, bool /*is_output*/) const {
    return std::nullopt;
  }
  /// δ (units × b).
  virtual void assign(const CreditView& view, MatrixRef delta) const = 0;
  /// The operator that takes δ (units × b) to G (inputs × b), the error at x that goes down to the
  /// layer below. Only called where signal() is Signal::error; the default is a broken invariant.
  ///   weight, feedback (units × inputs)
  virtual Operand backward(ConstMatrixRef weight, ConstMatrixRef /*feedback*/) const {
    LATERAL_CHECK(signal() == Signal::error && "this rule passes nothing back");
    return {weight, true};
  }
  /// True if each step runs a second, perturbed pass with noise on every pre-activation.
  bool perturbs() const { return signal() == Signal::reward; }
};

using MakeCreditRule = std::unique_ptr<CreditRule>();

/// Every file of core/credit/, by name.
std::span<const TableEntry<MakeCreditRule>> credit_table();

}  // namespace lateral
