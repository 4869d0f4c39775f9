// Layer: the interface of every kind of layer, as the process of a layer uses it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/credit/credit.hpp"
#include "core/decorrelation/decorrelator.hpp"
#include "core/finite.hpp"
#include "core/layer/layer_params.hpp"
#include "core/table.hpp"

namespace lateral {

/// What happened in one training step, each part there once its call has been made.
struct StepReport {
  DecorrelationUpdate decorrelation;
  std::optional<Settled> forward_settled, backward_settled;
  double weight_update_norm = 0;  ///< ‖ΔW‖_F, if measured
  bool skipped = false;           ///< the state stayed as it was (Diverging::skip, shorten)
  bool shortened = false;         ///< (Diverging::shorten)
};

/// What a layer keeps of one training step from its forward pass until it has learned from it. Made
/// by the layer (each kind has its own), passed to every call of the step, and used again for a
/// later step: as many exist as steps may be in flight.
class LayerStep {
 public:
  virtual ~LayerStep() = default;
  std::uint64_t number = 0;  ///< of training, from 1
  Index batch = 0;           ///< samples of the whole batch
  StepReport report;
};

/// Consecutive samples of a batch: [first, first + count).
struct Piece {
  Index first = 0;
  Index count = 0;
};

/// y = f(g(z; parameters) + added), learned by local rules; for a dense layer g = W R (z − mean) +
/// b.
///   z (inputs × b), added and y (units × b): a column a sample, b samples of the call
///
/// The calls of a training step, in this order; only the learn… calls change the state, so a
/// process can send what the others give before it learns:
///   begin → forward → [forward_perturbed…] → receive(credit signal) → [send_back] →
///   [receive(fisher_error) → [send_back]] → [receive(true_error) → [send_back]] → [measure] →
///   learn
/// All but begin, measure and learn come once for each piece of the batch, in the order of the
/// samples. Calls of different steps may alternate, each with its own LayerStep.
class Layer {
 public:
  virtual ~Layer() = default;

  virtual std::unique_ptr<LayerStep> make_step() const = 0;
  virtual void begin(LayerStep& step, std::uint64_t number, Index batch) = 0;
  ///   added: the sum of what is added to the pre-activation, or empty (0 × 0)
  virtual void forward(LayerStep& step, Index first, ConstMatrixRef z, ConstMatrixRef added,
                       MatrixRef y) = 0;
  /// The same for evaluation, outside of any step.
  virtual void evaluate(ConstMatrixRef z, ConstMatrixRef added, MatrixRef y) = 0;
  /// The noisy pass of a rule that perturbs, as differences from the clean pass (linear below f, so
  /// that nothing is lost to rounding): dy = f(a + da) − f(a).
  ///   dz, d_added: what z and added changed by, or empty (0 × 0) where they did not
  ///   own_noise: whether this layer's own units or weights are perturbed
  ///   squared_change (1 × b): ‖da‖² of each sample, or empty where it is not needed
  virtual void forward_perturbed(LayerStep& step, Piece piece, ConstMatrixRef dz,
                                 ConstMatrixRef d_added, bool own_noise, MatrixRef dy,
                                 MatrixRef squared_change) = 0;
  /// δ from the signal: the one that the credit rule asks for (see CreditView), or a true or Fisher
  /// error (units × b; a Fisher basis units × outputs), which change nothing that the credit rule
  /// uses.
  virtual void receive(LayerStep& step, Index first, Signal kind, ConstMatrixRef signal) = 0;
  /// The errors for the layers below, after receive() of the same kind and piece. For Signal::error
  /// through what the credit rule sends back through, for true and Fisher errors through W.
  ///   at_input: error at z (inputs × b), at_added: error at what is added, δ itself (units × b);
  ///   empty (0 × 0) where it is not needed
  virtual void send_back(LayerStep& step, Piece piece, Signal kind, MatrixRef at_input,
                         MatrixRef at_added) = 0;
  /// What a probe sees of the step before learn(): (name, value) of each measure that is defined.
  virtual std::vector<std::pair<std::string, double>> measure(LayerStep& /*step*/) { return {}; }
  /// Everything that has not yet been learned of the step.
  ///   measure_update: also ‖ΔW‖_F
  virtual void learn(LayerStep& step, bool measure_update) = 0;
  /// What needs no signal (decorrelation, means), right after the forward pass of all samples,
  /// where learn() comes steps later. The gain restores a norm; delayed, it would overshoot.
  virtual void learn_decorrelation(LayerStep& /*step*/) {}

  /// Visits every tensor of its state, in the order of the state digest: those that tensors() of
  /// its kind declares.
  virtual void visit_state(const TensorVisitor& visit) = 0;
  /// After visit_state() has been used to load all tensors but these, and before state_loaded():
  /// derives those of them that follow from others. Only for a state of which something was loaded.
  virtual void derive_missing(const MissingTensors& /*missing*/) {}
  /// After visit_state() has been used to load values: rebuilds what is derived from them.
  virtual void state_loaded() {}

  /// What was found not to be finite by forward, evaluate or a learn… call; the layer is of no use
  /// after that.
  virtual const std::optional<Divergence>& diverged() const = 0;
  /// Settling of the last evaluate(); empty in closed form or without decorrelation.
  virtual std::optional<Settled> evaluate_settled() const { return std::nullopt; }

  // For recordings, of a step of which all samples have come in.
  /// z − mean and x (inputs × batch).
  virtual const Matrix& centred(const LayerStep& step) const = 0;
  virtual const Matrix& decorrelated(const LayerStep& step) const = 0;
  /// Lets `observer` see how forward() settles; an empty one ends it.
  virtual void watch_settling(SettleObserver /*observer*/) {}
};

/// A kind of layer: the properties of a layer that are known before it is made, and how it is made.
class LayerKind {
 public:
  virtual ~LayerKind() = default;
  /// One line for listings.
  virtual std::string summary() const = 0;
  /// Why there is no layer of these parameters, as a message to the user ("…, expected …"); empty
  /// if there is one. The other functions are called only then.
  virtual std::string refusal(const LayerParams& /*params*/) const { return ""; }
  /// Shape of a sample of y.
  virtual Shape output_shape(const LayerParams& params) const = 0;
  /// The tensors that a layer of these parameters keeps, in the order of the state digest.
  virtual std::vector<TensorSpec> tensors(const LayerParams& params) const = 0;
  /// The initial state is a pure function of (seed, node).
  virtual std::unique_ptr<Layer> make(const LayerParams& params, std::uint64_t seed,
                                      std::uint32_t node) const = 0;
};

using GetLayerKind = const LayerKind&();

/// Every file of core/layer/kind/, by name.
std::span<const TableEntry<GetLayerKind>> layer_kind_table();

}  // namespace lateral
