// DenseLayer: decorrelate, multiply by W, add b, apply f; and learn all of it locally.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/activation/activation.hpp"
#include "core/credit/credit.hpp"
#include "core/decorrelation/decorrelator.hpp"
#include "core/finite.hpp"
#include "core/layer/kept_state.hpp"
#include "core/optimizer/optimizer.hpp"
#include "core/preconditioner/preconditioner.hpp"

namespace lateral {

/// What becomes of a training step whose change of the layer's state is not finite, or too large.
enum class Diverging {
  stop,  ///< diverged() says what it was
  skip,  ///< all of the state stays as it was before the step
  shorten,  ///< not finite: skip. ‖ΔW‖_F > change_max ‖W‖_F: the change of W and b is halved until
            ///< it is not, halvings_max times at most, else skip. So is that of R, M and threshold,
            ///< unless the rule turns W along with R.
};
inline constexpr int halvings_max = 10;

struct DenseLayerParams {
  Index inputs = 0;
  Index units = 0;
  Index classes = 0;  ///< units of the network's output
  bool is_output = false;
  double initial_gain = 1;  ///< W ~ U(±initial_gain / √inputs)
  MakeActivation* activation = nullptr;
  MakeCreditRule* credit = nullptr;
  RuleParameters credit_parameters;
  double sigma = 1e-3;                         ///< of the noise of a rule that perturbs
  bool feedback_through_decorrelation = true;  ///< false: pass_back gives the error at x itself
  MakePreconditioner* preconditioner = nullptr;
  PreconditionerParams preconditioner_params;
  MakeOptimizer* optimizer = nullptr;
  OptimizerParams optimizer_params;
  Diverging diverging = Diverging::stop;
  double change_max = 1;            ///< of W, R and M, relative to themselves; shorten
  DecorrelatorParams decorrelator;  ///< its compute and steps_in_flight are the whole layer's
};

/// A correlation over more samples costs more memory than it tells.
inline constexpr Index measured_samples_max = 1024;
/// Inputs and units of a layer whose covariances are decomposed for a probe: O(n³) in double.
inline constexpr Index decomposed_units_max = 512;

/// y = f(W x + b),  x = R (z − mean).
///   W (units × inputs), b (units), z (inputs × batch), y (units × batch)
///
/// A training step is, in this order:
///   respond_train → [respond_perturbed] → receive_credit → [pass_back] → learn
/// and only learn() changes the state. So a node can send what respond and pass_back give before it
/// does its own work in learn(). All but learn() may come once a micro-batch, in the order of the
/// samples; then each gives and takes the samples at hand (b), learn() and the probes all of the
/// batch. Other steps may come in between, as many as steps_in_flight says; about() then says which
/// samples the calls after it mean.
class DenseLayer {
 public:
  /// The initial state is a pure function of (seed, node).
  DenseLayer(const DenseLayerParams& params, std::uint64_t seed, std::uint32_t node);

  const Matrix& respond_train(ConstMatrixRef z, const Part& part);
  const Matrix& respond_train(ConstMatrixRef z, std::uint64_t step) {
    return respond_train(z, Part{step, 0, z.cols()});
  }
  void about(const Part& part);
  const Matrix& respond_evaluate(ConstMatrixRef z);
  /// The noisy pass of a rule that perturbs, as differences from the clean pass (linear below f, so
  /// nothing is lost to rounding): dy = f(a + da) − f(a),
  ///   da = W R dz + ξ, or with noise on the weights W R dz + ξ_W (x + R dz) + ξ_b.
  ///   dz (inputs × batch), or empty where the input is not perturbed
  const Matrix& respond_perturbed(ConstMatrixRef dz);
  /// The same without noise of its own, when other layers are shaken: da = W R dz.
  const Matrix& relay_perturbed(ConstMatrixRef dz);
  /// ‖da‖² (1 × batch) of each sample, after either.
  const Matrix& squared_change();

  /// δ from the signal that the credit rule asks for (see CreditView).
  void receive_credit(ConstMatrixRef signal);
  /// Error at z for the layer below.  REQUIRES: the rule's signal is Signal::error
  const Matrix& pass_back();
  /// W, b, their moments, then R or M and the means.
  void learn();
  /// R or M and the means alone, which need no signal: right after the forward pass of all samples,
  /// where learn() comes steps later. The gain restores a norm; delayed, it would overshoot.
  void learn_decorrelation();

  // True backpropagation beside the rule, for probes; changes nothing that learning uses.
  //   receive_true_error → [pass_back_true] → gradient_angle, between receive_credit and learn
  ///   error (units × b): the true ∂loss/∂y
  void receive_true_error(ConstMatrixRef true_error);
  /// The true error at z for the layer below, after receive_true_error().
  const Matrix& pass_back_true();
  /// Angle in degrees between the rule's weight gradient and the true one, after
  /// receive_true_error() for all samples of the batch.
  double gradient_angle();

  // Errors that the preconditioner asks for, by the same way; changes nothing else.
  //   receive_fisher_error → [pass_back_fisher], between receive_credit and learn, of all pieces
  ///   error (units × b), or (units × outputs) for a basis
  void receive_fisher_error(ConstMatrixRef error);
  const Matrix& pass_back_fisher();

  struct StepReport {
    DecorrelationUpdate decorrelation;
    std::optional<Settled> forward_settled, backward_settled;
    double weight_update_norm = 0;  ///< ‖ΔW‖_F, if measured
    bool skipped = false;           ///< the state stayed as it was (Diverging::skip, shorten)
    bool shortened = false;         ///< (Diverging::shorten)
  };
  /// Of the last step, as far as it has come: each part is there once its call has been made.
  /// measure_update(true) makes learn() also measure ‖ΔW‖_F.
  const StepReport& report() const { return step().report; }
  /// Settling of the last respond_evaluate; empty in closed form or without a matrix.
  const std::optional<Settled>& evaluate_settled() const {
    return decorrelator_.evaluate_settled();
  }
  void measure_update(bool on) { measure_update_ = on; }
  /// What was found not to be finite by respond_train, respond_evaluate or learn…; the layer is of
  /// no use after that. To respond looks at a = W x + b, to learn at W, b and their moments while
  /// they are in cache. R and M are too large to be looked at after each change: what is wrong with
  /// them shows in the next a, and is then named with the step that made it. With Diverging::skip
  /// or shorten, learning looks at all of the state and mends it; what is left is an a that
  /// overflows, which has no step to leave out.
  const std::optional<Divergence>& diverged() const { return diverged_; }
  /// What a probe sees of the step before learn(): correlations, ranks and norms of its input
  /// before and after decorrelation, dead units, the spectrum of M, how W is aligned with B, and
  /// angles to the natural gradient; each only where it is defined, over the first
  /// measured_samples_max samples.
  std::vector<std::pair<std::string, double>> measures() const;

  // For recordings, of the step at hand once all of its samples have come in.
  /// z − mean and x (inputs × batch).
  const Matrix& centred() const { return decorrelator_.centred(); }
  const Matrix& decorrelated() const { return step().x; }
  /// See Decorrelator::watch_settling.
  void watch_settling(SettleObserver observer) {
    decorrelator_.watch_settling(std::move(observer));
  }

  const CreditRule& credit() const { return *credit_; }
  const Preconditioner& preconditioner() const { return *preconditioner_; }
  const DenseLayerParams& params() const { return params_; }
  /// weight, bias, feedback, decorrelation/…, preconditioner/…, optimizer/…: the order of the state
  /// digest.
  void visit_state(const TensorVisitor& visit);
  void state_loaded() { decorrelator_.state_loaded(); }

 private:
  /// What a step keeps from its forward pass until it has learned; (· × batch).
  struct Step {
    Matrix x, a, slope, noise, delta, true_delta, fisher_delta;
    double reward_sum = 0;  // with noise on the weights
    bool has_fisher_error = false;
    StepReport report;
    bool decorrelation_learned = false;
  };
  Step& step() { return steps_[part_.step % steps_.size()]; }
  const Step& step() const { return steps_[part_.step % steps_.size()]; }
  const Compute& compute() const { return *params_.decorrelator.compute; }
  bool shakes_weights() const { return credit_->perturbed_pass() == PerturbedPass::all_weights; }
  /// da_ ← W R dz, or 0 where dz is empty.
  void propagate_difference(ConstMatrixRef dz);
  /// Names what is not finite in a response: state that was last changed in step `before`, or a.
  void check_response(bool a_is_finite, const std::optional<Settled>& settled, ConstMatrixRef a,
                      std::uint64_t before, const std::string& quantity);
  /// Does `change` to the state, or what params().diverging says instead.
  void change_state(const std::function<void()>& change);
  VisitTensors whole_state() {
    return [this](const TensorVisitor& visit) { visit_state(visit); };
  }
  /// What the preconditioner keeps.
  VisitTensors curvature() {
    return [this](const TensorVisitor& visit) {
      preconditioner_->visit_state("preconditioner/", visit);
    };
  }
  void change_weights();
  /// Names what is not finite after change_weights().
  void find_diverged_weights(const Operand& scaled_delta);
  /// R or M and the means, once a step.
  void change_decorrelation();
  using Names = std::initializer_list<std::string_view>;
  /// Halves the change of all these tensors until none of `limited` has changed by more than
  /// change_max.
  void shorten_change(Names limited, std::string_view along);
  /// dy_ from da_.
  const Matrix& difference_of_activity();
  /// The error at z for errors delta at a, through W as it is.
  const Matrix& pass_back_by_weight(ConstMatrixRef delta);
  /// The whole gradient at once, preconditioned; then the optimizer.
  void learn_preconditioned(const Operand& scaled_delta);
  /// The gradient as the credit rule gives it, for all columns of W.
  void whole_gradient(const Operand& scaled_delta, MatrixRef gradient) const;
  /// gradient ← (1/b) δ xᵀ for the columns [first, first + columns) of W.
  ///   scaled_delta: δ / b
  void weight_gradient(const Operand& scaled_delta, Index first, Index columns,
                       MatrixRef gradient) const;
  /// gradient ← (mean reward / σ²) ξ_W for those columns.
  void shaken_gradient(Index first, Index columns, MatrixRef gradient) const;
  Scalar reward_scale() const;
  double gradient_operations() const;

  DenseLayerParams params_;
  std::uint64_t seed_;
  std::uint32_t node_;
  std::unique_ptr<Activation> activation_;
  std::unique_ptr<CreditRule> credit_;
  Matrix weight_;
  Vector bias_;
  Matrix feedback_;
  Decorrelator decorrelator_;
  std::unique_ptr<Preconditioner> preconditioner_;
  std::unique_ptr<Optimizer> weight_optimizer_, bias_optimizer_;
  std::vector<Step> steps_;  // in flight, by step modulo their number
  Part part_;                // the samples at hand
  Index samples_ = 0;        // how many of them, going back
  // of the samples at hand
  Matrix y_, dx_, da_, dy_, squared_change_, error_at_x_, error_at_z_;
  // scratch
  Matrix scaled_delta_, gradient_, true_gradient_, weight_before_, backward_work_, weight_noise_;
  Vector bias_gradient_;
  std::vector<std::uint16_t> rounded_delta_;
  Matrix evaluate_x_, evaluate_y_;
  bool measure_update_ = false;
  KeptState kept_;
  std::optional<Divergence> diverged_;
};

}  // namespace lateral
