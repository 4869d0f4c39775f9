// Integrator: one step of the lateral dynamics τ dx/dt = z − M x, for a batch of columns.
#pragma once

#include <memory>

#include "core/compute/compute.hpp"
#include "core/table.hpp"
#include "core/types.hpp"

namespace lateral {

/// M or Mᵀ as an operator, without a transposed copy.
struct LateralOperator {
  Eigen::Ref<const Matrix> matrix;  ///< M (n × n)
  bool transposed;
  const Compute& compute = plain_compute();
  /// out ← out + scale · op(M) · v.   v, out (n × b), not overlapping
  void add_product(Scalar scale, ConstMatrixRef v, MatrixRef out) const {
    compute.add_product(scale, {matrix, transposed}, v, out);
  }
};

/// Bounds on the real spectrum of M: 0 < smallest ≤ Re λ ≤ largest.
struct SpectrumBound {
  Scalar smallest;
  Scalar largest;
};

/// The columns still settling, all (n × active).
struct SettlingColumns {
  MatrixRef x;          ///< in and out: activity
  MatrixRef residual;   ///< in: z − M x at x. Scratch afterwards.
  MatrixRef direction;  ///< the integrator's own memory of its last step, zero before the first
  MatrixRef work;       ///< scratch
};

/// One step of all columns that are still settling. Between begin() and the last advance() an
/// integrator may keep coefficients, which are the same for every column; what differs by column is
/// in SettlingColumns, because columns leave and change places.
class Integrator {
 public:
  virtual ~Integrator() = default;
  /// Chooses the step: h = step (in units of τ) if the user fixed one (> 0), else from the bound.
  /// Also starts the columns anew: their direction is zero again.
  virtual void begin(const LateralOperator& M, const SpectrumBound& bound, Scalar step) = 0;
  /// Whether it uses a step that the user fixes.
  virtual bool takes_step() const { return true; }
  /// One step. The caller recomputes the residual afterwards.
  virtual void advance(const LateralOperator& M, SettlingColumns columns) = 0;
};

using MakeIntegrator = std::unique_ptr<Integrator>();

/// Every integrator of core/dynamics/integrator/, by name.
std::span<const TableEntry<MakeIntegrator>> integrator_table();

}  // namespace lateral
