// DecorrelationRule: how a layer's decorrelation changes after it has seen some samples.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/compute/compute.hpp"
#include "core/decorrelation/matrix_update.hpp"
#include "core/random.hpp"
#include "core/rule_info.hpp"
#include "core/table.hpp"
#include "core/tensor.hpp"
#include "core/types.hpp"

namespace lateral {

enum class DecorrelationMode {
  closed_form,  ///< x = R zc by a product
  settled,      ///< x settles on M x = zc, or M x = R zc − θ
};
enum class Gain {
  norm_ratio,  ///< one scalar: keeps the norm of a sample
  per_unit,    ///< one number a unit: keeps each unit's root mean square
  none,        ///< g = 1
};
enum class GainReference {
  raw,      ///< z before demeaning
  centred,  ///< z after demeaning
};
enum class MatrixUpdate {
  exact,  ///< R ← g (R − η C R), and for M its exact inverse (Sherman–Morrison, Woodbury)
  implicit,  ///< R ← g (I + η C)⁻¹ R, and for M its exact inverse, which is local: an outer product
};

/// The settings of all decorrelation rules in an experiment; each rule reads its own.
struct DecorrelationParams {
  DecorrelationMode mode = DecorrelationMode::closed_form;
  Scalar learning_rate = static_cast<Scalar>(1e-5);  ///< η
  Scalar initial_scale = 1;  ///< x = initial_scale · zc before the first update
  Gain gain = Gain::norm_ratio;
  GainReference gain_reference = GainReference::raw;
  MatrixUpdate update = MatrixUpdate::exact;
  RuleParameters own;  ///< those that the rule's info() declares
};

/// x = M⁻¹ (R zc − θ). A rule keeps the tensors that it fills in begin(); the others stay empty and
/// count as R = I, M = I, θ = 0.
struct DecorrelationState {
  Matrix R;          ///< feed-forward (n × n)
  Matrix M;          ///< lateral (n × n): x settles
  Vector threshold;  ///< θ (n)
};

/// Which tensors of a DecorrelationState a rule keeps.
struct KeptTensors {
  bool R, M, threshold;
  bool operator==(const KeptTensors&) const = default;
};

/// The samples that a rule learns from: all (inputs × S), taken at the state before the update.
struct DecorrelationView {
  Eigen::Ref<const Matrix> z;   ///< input before demeaning
  Eigen::Ref<const Matrix> zc;  ///< input after demeaning
  Eigen::Ref<const Matrix> x;   ///< decorrelated: R zc
  /// (inputs) 1 where the unit takes part, 0 where its gain is frozen at 1 because it never varies.
  Eigen::Ref<const Vector> active;
  const Compute& compute = plain_compute();
  /// Closed form: where a rule may leave an update of rank one instead of doing it; or null.
  RankOneUpdate* deferred = nullptr;
};

struct DecorrelationUpdate {
  double gain = 1;         ///< g, or the mean over units of a per-unit gain
  bool shortened = false;  ///< η was reduced so that M stayed invertible
  /// K (n × n), for the layer's weights: W ← W K, by which a rule that reparametrises keeps what
  /// the layer computes; or null. Valid until the next update.
  const Matrix* weight_factor = nullptr;
};

/// The modes that a rule has.
struct DecorrelationModes {
  bool closed_form, settled;
};

class DecorrelationRule {
 public:
  virtual ~DecorrelationRule() = default;
  virtual const RuleInfo& info() const = 0;
  virtual DecorrelationModes modes() const { return {true, true}; }
  /// The start, for n inputs, in the mode that the rule was made for.
  virtual void begin(Index n, const RandomStream& random, DecorrelationState& state) = 0;
  /// Never called if begin() left the whole state empty.
  virtual DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) = 0;
  /// Whether its updates may have a weight_factor; no other step may then be in flight.
  virtual bool reparametrises() const { return false; }
  /// What begin() fills in the state, known before it is called. Default: as
  /// begin_scaled_identity(), R in closed form and M settled.
  virtual KeptTensors kept_tensors(DecorrelationMode mode) const;
  /// The tensors that the rule keeps in addition, their names below `prefix`. Only update() changes
  /// them, and a visit changes nothing: a snapshot is copied while the next batch comes in.
  virtual void visit_state(const std::string& prefix, const TensorVisitor& visit);
  /// After a state was loaded that lacks these tensors: derives from the others what follows from
  /// them. Returns whether R or M have changed. Default: nothing is derived.
  virtual bool derive_missing(const std::string& prefix, const MissingTensors& missing,
                              DecorrelationState& state, const Compute& compute);
  /// What visit_state() shows after begin() for n inputs, known before it is called. Default: none.
  virtual std::vector<TensorSpec> own_tensors(const std::string& prefix, Index n) const;

  /// Whether it whitens a training batch by the batch itself, and evaluates by a running R. Such a
  /// rule needs demeaning by the batch, and one step at a time; it alone has what follows.
  virtual bool whitens_batch() const { return false; }
  /// R of this batch (zc, n × b), in the place of the state's. Valid until the next call.
  virtual const Matrix* batch_matrix(ConstMatrixRef zc, const Compute& compute);
  /// After batch_matrix(): the error at zc from the error G at x, through the batch's R and through
  /// how that R depends on zc.
  virtual void batch_backward(ConstMatrixRef zc, ConstMatrixRef G, MatrixRef error_at_zc,
                              const Compute& compute) const;
};

/// What most rules begin with: R = s I in closed form, M = I / s settled; s the initial scale.
void begin_scaled_identity(Index n, const DecorrelationParams& params, DecorrelationState& state);

using MakeDecorrelationRule = std::unique_ptr<DecorrelationRule>(const DecorrelationParams&);

/// Every rule of core/decorrelation/rule/, by name.
std::span<const TableEntry<MakeDecorrelationRule>> decorrelation_table();

}  // namespace lateral
