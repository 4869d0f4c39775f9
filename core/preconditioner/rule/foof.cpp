// FOOF: the input factor of the natural gradient alone, applied to the gradient.
#include "core/preconditioner/kronecker_factor.hpp"
#include "core/preconditioner/preconditioner.hpp"

namespace lateral::preconditioner {
namespace {

/// G ← G (A + λ I)⁻¹,  A the running mean of x̄ x̄ᵀ: what decorrelation of the input does to the
/// product W R, here done to the gradient.
/// Source: Benzing 2022, "Gradient descent on neurons and its link to approximate second-order
/// optimization".
class Foof final : public Preconditioner {
 public:
  Foof(const PreconditionerParams& params, Index inputs)
      : damping_(params.own.value(rule_info(), "damping")),
        inverse_interval_(
            static_cast<std::uint64_t>(params.own.value(rule_info(), "inverse_interval"))),
        input_(inputs + 1, params.own.value(rule_info(), "statistics_momentum")) {}

  const RuleInfo& info() const override { return rule_info(); }

  void apply(const CurvatureView& view, MatrixRef gradient) override {
    input_.add(with_constant(view.x), view.compute);
    if ((view.step - 1) % inverse_interval_ == 0) input_.invert(damping_);
    const Matrix before = gradient;
    gradient.setZero();
    view.compute.add_product(1, {before}, input_.inverse(), gradient);
  }

  void visit_state(const std::string& prefix, const TensorVisitor& visit) override {
    input_.visit_state(prefix + "input_", visit);
  }
  std::vector<TensorSpec> tensors(const std::string& prefix, Index, Index inputs) const override {
    return KroneckerFactor::tensors(prefix + "input_", inputs + 1);
  }

 private:
  static const RuleInfo& rule_info() {
    static const RuleInfo info{
        "the input factor of the natural gradient alone",
        "Benzing 2022",
        {{"damping", 0.1, 1e-12, 1e6, "lambda, added to the eigenvalues of A"},
         {"statistics_momentum", 0.05, 1e-6, 1, "weight of a new batch in A"},
         {"inverse_interval", 10, 1, 1e6, "steps from one inverse of A to the next", true}},
        {"G", "none", "all to all: second moment of the layer's inputs and its inverse"}};
    return info;
  }

  double damping_;
  std::uint64_t inverse_interval_;
  KroneckerFactor input_;
};

}  // namespace

std::unique_ptr<Preconditioner> foof(const PreconditionerParams& params, Index, Index inputs) {
  return std::make_unique<Foof>(params, inputs);
}

}  // namespace lateral::preconditioner
