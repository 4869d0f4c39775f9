// Gauss–Seidel: one unit at a time settles on what the others are at that moment, in the order of
// the units.
#include "core/dynamics/integrator.hpp"

namespace lateral::integrator {
namespace {

/// A step is a round of all units: x_i ← (z_i − Σ_{j≠i} M_ij x_j) / M_ii, which for a whole round
/// is x ← x + (D + L)⁻¹ r with D and L the diagonal and what lies below it. Converges for every
/// symmetric positive definite M, whatever its spectrum (½ xᵀM x − zᵀx falls with each unit), where
/// all units at once may diverge. It has no fixed step. Asynchronous hardware works like this.
/// Source: textbook; Golub & Van Loan, section 11.2.
class GaussSeidel final : public Integrator {
 public:
  void begin(const LateralOperator&, const SpectrumBound&, Scalar) override {}
  bool takes_step() const override { return false; }
  void advance(const LateralOperator& M, SettlingColumns columns) override {
    M.compute.pass(columns.x.cols(), columns.x.size() * columns.x.rows() / 16,
                   [&](Index first, Index count) {
                     auto change = columns.residual.middleCols(first, count);
                     if (M.transposed)
                       M.matrix.transpose().triangularView<Eigen::Lower>().solveInPlace(change);
                     else
                       M.matrix.triangularView<Eigen::Lower>().solveInPlace(change);
                     columns.x.middleCols(first, count) += change;
                   });
  }
};

}  // namespace

std::unique_ptr<Integrator> gauss_seidel() { return std::make_unique<GaussSeidel>(); }

}  // namespace lateral::integrator
