// CreditRule: how a layer computes the errors of its own units from the signal that it receives.
#pragma once

#include <memory>
#include <optional>

#include "core/check.hpp"
#include "core/compute/compute.hpp"
#include "core/rule_info.hpp"
#include "core/table.hpp"
#include "core/types.hpp"

namespace lateral {

/// What travels to a layer against the direction of activities. A credit rule asks for one of the
/// first three; the last two go beside it, through W, and change nothing that the rule uses.
enum class Signal {
  error,         ///< from the layer above, through its synapses: ∂loss/∂y here, or a stand-in
  output_error,  ///< ∂loss/∂(network output), broadcast by the readout to every layer
  reward,        ///< one number a sample, L(perturbed) − L(clean), broadcast to every layer
  true_error,    ///< ∂loss/∂y here, of probed steps, to compare the rule's gradient with
  fisher_error,  ///< error for targets of the model's own, for preconditioners (FisherErrors)
};

/// Where the perturbed passes of a rule add noise; each pass is compared with the clean one.
enum class PerturbedPass {
  none,                ///< there is none
  all_units,           ///< one pass, noise ξ ~ N(0, σ²) on every pre-activation
  units_of_one_layer,  ///< a pass a layer, noise on that layer's pre-activations alone
  all_weights,         ///< one pass, noise on every weight and bias, the same for the whole batch
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
  /// ξ (units × b) that this layer added to a, or da, what it changed by (see sees_whole_change());
  /// empty unless units are perturbed
  Eigen::Ref<const Matrix> noise;
  Eigen::Ref<const Matrix> feedback;  ///< B, as feedback_shape() says; empty if the rule has none
  bool is_output;                     ///< the layer whose y is the network's output
  double sigma;                       ///< standard deviation of ξ
};

/// The weight gradient is dW = (1/b) Σ_n δ_n x_nᵀ and db = (1/b) Σ_n δ_n: a rule computes δ
/// and what goes back to the layer below. Only where weights are perturbed the gradient is (mean
/// reward / σ²) ξ instead, and assign() is not called. Rules keep no state.
class CreditRule {
 public:
  virtual ~CreditRule() = default;
  virtual const RuleInfo& info() const = 0;
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
  ///   weight, feedback (units × inputs); work: scratch that the operator may refer to
  virtual Operand backward(ConstMatrixRef weight, ConstMatrixRef /*feedback*/,
                           Matrix& /*work*/) const {
    LATERAL_CHECK(signal() == Signal::error && "this rule sends nothing back");
    return {weight, true};
  }
  /// Anything but none goes with Signal::reward.
  virtual PerturbedPass perturbed_pass() const { return PerturbedPass::none; }
  bool perturbs() const { return perturbed_pass() != PerturbedPass::none; }
  /// Whether the view's noise is da, all that a changed by in the perturbed pass, and the reward
  /// N r / ‖da‖² over the N units of all layers.
  virtual bool sees_whole_change() const { return false; }
};

using MakeCreditRule = std::unique_ptr<CreditRule>(const RuleParameters&);

/// Every rule of core/credit/rule/, by name.
std::span<const TableEntry<MakeCreditRule>> credit_table();

}  // namespace lateral
