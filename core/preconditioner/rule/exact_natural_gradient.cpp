// The exact natural gradient of deep linear networks.
#include "core/check.hpp"
#include "core/decorrelation/covariance.hpp"
#include "core/preconditioner/kronecker_factor.hpp"
#include "core/preconditioner/preconditioner.hpp"

namespace lateral::preconditioner {
namespace {

/// C⁺, where eigenvalues below `floor` times the largest count as zero.
Eigen::MatrixXd pseudo_inverse(const Eigen::MatrixXd& moment, double floor) {
  Eigenbasis basis = eigenbasis(moment, 0);
  const double least = floor * basis.values.maxCoeff();
  basis.values = (basis.values.array() > least).select(basis.values.cwiseInverse(), 0.0);
  return symmetric_power(basis, 1);
}

/// G ← (1/L) S⁺ G A⁺,  A = (1/b) Σ x̄ x̄ᵀ of the batch, S = Jᵀ f J,
/// J = ∂y/∂a = W_L R_L … W_{l+1} R_{l+1} and f the constant Fisher information of the loss.
/// Where layers are wide enough (J and the map from the input to x have full rank) every one of the
/// L layers changes the network's map by 1/L of lr · (least squares solution of the batch − map),
/// so that with sgd the excess loss falls by (1 − lr)² a step, up to O(lr²). Source: Bernacchia,
/// Lengyel & Hennequin 2018, "Exact natural gradient in deep linear networks and its application to
/// the nonlinear case".
class ExactNaturalGradient final : public Preconditioner {
 public:
  explicit ExactNaturalGradient(const PreconditionerParams& params)
      : layers_(params.layers), floor_(params.own.value(rule_info(), "floor")) {}

  const RuleInfo& info() const override { return rule_info(); }
  FisherErrors fisher_errors() const override { return FisherErrors::basis; }

  void apply(const CurvatureView& view, MatrixRef gradient) override {
    const Eigen::MatrixXd x = with_constant(view.x).cast<double>();
    const Eigen::MatrixXd e = view.fisher_delta.cast<double>();
    const Eigen::MatrixXd input = x * x.transpose() / static_cast<double>(x.cols());
    gradient = (pseudo_inverse(e * e.transpose(), floor_) * gradient.cast<double>() *
                pseudo_inverse(input, floor_) / layers_)
                   .cast<Scalar>();
  }

 private:
  static const RuleInfo& rule_info() {
    static const RuleInfo info{
        "exact natural gradient of deep linear networks",
        "Bernacchia, Lengyel & Hennequin 2018",
        {{"floor", 1e-10, 0, 1, "eigenvalues below floor times the largest count as zero"}},
        {"G", "none",
         "all to all: second moments of the layer's inputs and of the network's outputs as the "
         "layer sees them, and their inverses"}};
    return info;
  }

  double layers_;
  double floor_;
};

}  // namespace

std::unique_ptr<Preconditioner> exact_natural_gradient(const PreconditionerParams& params, Index,
                                                       Index) {
  return std::make_unique<ExactNaturalGradient>(params);
}

}  // namespace lateral::preconditioner
