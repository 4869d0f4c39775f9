// Integrator: one step of the lateral dynamics τ dx/dt = z − M x, for a batch of columns.
#pragma once

#include <memory>

#include "core/table.hpp"
#include "core/types.hpp"

namespace lateral {

/// M or Mᵀ as an operator, without a transposed copy.
struct LateralOperator {
  ConstMatrixRef matrix;  ///< M (n × n)
  bool transposed;
  /// out ← out + scale · op(M) · v.   v, out (n × b), not overlapping
  void add_product(Scalar scale, ConstMatrixRef v, MatrixRef out) const {
    if (transposed)
      out.noalias() += scale * (matrix.transpose() * v);
    else
      out.noalias() += scale * (matrix * v);
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

/// Stateless between columns; `begin` fixes the coefficients for one settling.
class Integrator {
 public:
  virtual ~Integrator() = default;
  /// Chooses the step: h = step (in units of τ) if the user fixed one (> 0), else from the bound.
  virtual void begin(const LateralOperator& M, const SpectrumBound& bound, Scalar step) = 0;
  /// One step. The caller recomputes the residual afterwards.
  virtual void advance(const LateralOperator& M, SettlingColumns columns) = 0;
};

using MakeIntegrator = std::unique_ptr<Integrator>();

/// Every integrator of core/dynamics/integrator/, by name.
std::span<const TableEntry<MakeIntegrator>> integrator_table();

}  // namespace lateral
