// DecorrelationRule: how a decorrelating matrix changes after it has seen some samples.
#pragma once

#include <memory>

#include "core/compute/compute.hpp"
#include "core/decorrelation/matrix_update.hpp"
#include "core/table.hpp"
#include "core/types.hpp"

namespace lateral {

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

/// What an experiment says about decorrelation rules; each reads what concerns it.
struct DecorrelationParams {
  Scalar learning_rate = static_cast<Scalar>(1e-5);  ///< η
  Gain gain = Gain::norm_ratio;
  GainReference gain_reference = GainReference::raw;
  MatrixUpdate update = MatrixUpdate::exact;
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
};

class DecorrelationRule {
 public:
  virtual ~DecorrelationRule() = default;
  /// False for a rule without a matrix: x is zc, and the updates are never called.
  virtual bool has_matrix() const { return true; }
  virtual DecorrelationUpdate update_closed_form(const DecorrelationView& view, MatrixRef R) = 0;
  virtual DecorrelationUpdate update_settled(const DecorrelationView& view, MatrixRef M) = 0;
};

using MakeDecorrelationRule = std::unique_ptr<DecorrelationRule>(const DecorrelationParams&);

/// Every rule of core/decorrelation/rule/, by name.
std::span<const TableEntry<MakeDecorrelationRule>> decorrelation_table();

}  // namespace lateral
