// Decorrelator: demeans a layer's input, removes its correlations by R and by settling M, and
// learns to.
#pragma once

#include <memory>
#include <optional>

#include "core/decorrelation/rule.hpp"
#include "core/dynamics/settle.hpp"
#include "core/dynamics/spectrum.hpp"
#include "core/random.hpp"
#include "core/tensor.hpp"

namespace lateral {

enum class Demean {
  batch,    ///< zc = z − batch mean; evaluation: z − running mean
  running,  ///< zc = z − running mean of the steps before, in training too
  none,     ///< zc = z
  /// zc = z − μ with a mean μ that each unit learns from its own output, as a bias would be:
  /// μ ← μ + mean_rate · <x> over the sampled x, until the outputs have no mean.
  /// Source: Ahmad 2024, section 3 ("unit-wise learned mean"), whose text does not give the step;
  /// this is that of a bias on x whose loss is ½ ‖<x>‖², with R taken as the identity.
  learned,
};
enum class NullDirections {
  grow,    ///< as published: a unit that never varies grows by g a step
  freeze,  ///< the gain of a unit whose running second moment is below null_moment_max is 1
};

struct DecorrelatorParams {
  MakeDecorrelationRule* rule = nullptr;
  DecorrelationParams rule_params;
  Demean demean = Demean::batch;
  Scalar mean_rate = static_cast<Scalar>(0.01);  ///< of Demean::learned
  /// R, M and what the rule keeps stay as they are; the running means go on.
  bool is_frozen = false;
  double sample_fraction = 0.1;  ///< S = min(b, ⌊sample_fraction · b⌋ + 1)
  NullDirections null_directions = NullDirections::grow;
  MakeIntegrator* integrator = nullptr;
  SettleParams settle;
  /// Settling starts from the answers of the last full batch: sample j from its sample j. A batch
  /// of another size starts from zero and is not kept, nor is an answer that did not settle.
  bool warm_start = false;
  Index batch = 0;  ///< samples of a full batch.  REQUIRED by warm_start, else unused
  const Compute* compute = &plain_compute();
};

/// What a decorrelator keeps of one training step from its forward pass until it has learned.
struct DecorrelationStep {
  Index batch = 0;  ///< samples of the whole batch
  Matrix zc;        ///< z − mean (n × batch)
  /// Settling of forward_train() and of backward(); empty in closed form or without a matrix.
  std::optional<Settled> forward_settled, backward_settled;

  // For the decorrelator alone.
  Matrix z_sampled, x_sampled;  // the samples that are learned from
  Eigen::VectorXd sum;          // of z over the samples so far
  Vector batch_mean;
  const Matrix* batch_matrix = nullptr;  // the rule's, of this batch
};

/// running ← 0.9 running + 0.1 batch, for the running mean and the running second moment.
inline constexpr Scalar running_momentum = static_cast<Scalar>(0.1);
/// Of zc², for NullDirections::freeze: below it a unit counts as one that never varies.
inline constexpr Scalar null_moment_max = static_cast<Scalar>(1e-8);

/// One layer's decorrelation. In training the calls of a step come in this order: begin,
/// forward_train, then any of forward_difference and backward, then learn; all but learn leave the
/// state as it is. Each but begin and learn may come once a micro-batch, in the order of the
/// samples (not with Demean::batch, which couples them). Calls of different steps may alternate,
/// each with its own DecorrelationStep. n = inputs, b = samples of the call, those of the batch
/// from `first` on.
class Decorrelator {
 public:
  /// The initial state is a pure function of (seed, node).
  Decorrelator(const DecorrelatorParams& params, Index inputs, std::uint64_t seed,
               std::uint32_t node);

  void begin(DecorrelationStep& step, Index batch) const;
  /// x (n × b) from z (n × b), which is kept until learn().
  /// Cost: 2 n² b flops (closed form), 2 n² b a step (settled).
  void forward_train(DecorrelationStep& step, Index first, ConstMatrixRef z, MatrixRef x);
  /// Lets `observer` see how the forward passes in training settle, with the samples' places in
  /// their batch; an empty one ends it.
  void watch_settling(SettleObserver observer) { observer_ = std::move(observer); }
  /// The same with the running mean; changes nothing that training uses.
  void forward_evaluate(ConstMatrixRef z, Matrix& x);
  /// dx = M⁻¹ R d: what a difference d of the input becomes when demeaned by the same means.
  /// Settled: counted in forward_settled's converged and residual.
  void forward_difference(DecorrelationStep& step, Index first, ConstMatrixRef d, MatrixRef dx);
  /// Error at z from the error G at x: Rᵀ M⁻ᵀ G, minus its batch mean where demeaning is by the
  /// batch.
  void backward(DecorrelationStep& step, Index first, ConstMatrixRef error_at_x,
                MatrixRef error_at_z);
  /// The same for probes; changes nothing that training uses.
  void backward_probe(const DecorrelationStep& step, ConstMatrixRef error_at_x,
                      MatrixRef error_at_z);
  /// Updates R and M from the first S samples of the step, and the running means from all.
  DecorrelationUpdate learn(DecorrelationStep& step);

  /// Settling of the last forward_evaluate; empty in closed form or without a matrix.
  const std::optional<Settled>& evaluate_settled() const { return evaluate_settled_; }
  const DecorrelationState& state() const { return state_; }
  /// The tracked ends of M's spectrum; empty without M.
  std::optional<SpectrumBound> spectrum() const {
    return settles() ? std::optional(spectrum_.bound()) : std::nullopt;
  }
  /// V M⁻¹ R (m × n) for V (m × n), by decomposition: for probes of small layers.
  Matrix through(const DecorrelationStep& step, const Matrix& V) const;

  /// decorrelation/R, /M and /threshold, which of them the rule has; what else it keeps; /mean
  /// unless there is neither matrix nor demeaning; /moment with freeze; settled: /spectrum, and
  /// with warm_start /previous and /previous_error (inputs × batch).
  void visit_state(const TensorVisitor& visit);
  /// What visit_state() shows of a decorrelator of these parameters for n inputs.
  static std::vector<TensorSpec> tensors(const DecorrelatorParams& params, Index inputs);
  /// After loading a state without these tensors, and before state_loaded(): derives those that
  /// follow from others, and searches the spectrum of a loaded M.
  void derive_missing(const MissingTensors& missing);
  /// After loading a state: rebuilds what is derived from it.
  void state_loaded();

 private:
  /// R, after the update that was deferred to the next pass through it, if there is one.
  Matrix& up_to_date_R();
  bool has_matrix() const { return state_.R.size() > 0 || state_.M.size() > 0; }
  bool settles() const { return state_.M.size() > 0; }
  bool keeps_answers() const { return settles() && params_.warm_start; }
  /// Which samples pass through R and M, and how.
  struct Pass {
    Index batch;                 ///< samples of the whole batch
    Index first = 0;             ///< the first of this pass
    bool is_difference = false;  ///< of two inputs: θ cancels
    bool is_watched = false;     ///< by observer_
    Matrix* previous = nullptr;  ///< answers of the last batch, to start settling from
  };
  /// out = M⁻¹ (R in − θ).
  std::optional<Settled> forward(ConstMatrixRef in, const Pass& pass, const Matrix& R,
                                 MatrixRef out);
  /// error_at_z = Rᵀ M⁻ᵀ G.
  std::optional<Settled> back(const DecorrelationStep& step, Index first, ConstMatrixRef G,
                              MatrixRef error_at_z, Matrix* previous);
  /// out settles on op(M) out = in, from zero or from the columns of `previous`, which then become
  /// the answer (or zero where it did not settle).
  std::optional<Settled> settle_all(bool transposed, ConstMatrixRef in, const Pass& pass,
                                    MatrixRef out);
  void subtract_own_mean(MatrixRef error_at_z);
  /// Tracks the spectrum of an M that is known for the first time.
  void search_spectrum();
  void learn_mean(const DecorrelationStep& step);

  DecorrelatorParams params_;
  std::unique_ptr<DecorrelationRule> rule_;
  std::unique_ptr<Integrator> integrator_;
  DecorrelationState state_;
  Vector mean_;                         // running mean (n)
  Vector moment_;                       // running second moment of zc (n), for freeze
  SpectrumTracker spectrum_;            // of M, when settled
  Matrix previous_x_, previous_error_;  // answers of the last full batch, for warm_start
  RankOneUpdate deferred_;              // of R, to be done
  SettleObserver observer_;
  // scratch
  Vector error_mean_, active_, no_vector_;
  Eigen::VectorXd error_sum_;
  Matrix evaluate_zc_, drive_;
  SettleWorkspace workspace_;
  std::optional<Settled> evaluate_settled_;
};

}  // namespace lateral
