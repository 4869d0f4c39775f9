// K-FAC: the natural gradient with a Kronecker-factored Fisher information, layer by layer.
#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "core/preconditioner/kronecker_factor.hpp"
#include "core/preconditioner/preconditioner.hpp"

namespace lateral::preconditioner {
namespace {

/// G ← ν (S + √λ/π I)⁻¹ G (A + π √λ I)⁻¹,  π² = (tr A / dim A) / (tr S / dim S),
///   ν = min(1, √(kl_clip / (lr² <ΔG, G>))),
/// with running means A of x̄ x̄ᵀ and S of δ δᵀ, the latter of targets drawn from the model or
/// (sampled = 0) of the credit rule's errors. Either factor can be left out, and then counts as I.
/// Source: Martens & Grosse 2015 (sections 3, 5 and 6.3); the clip, in the place of their quadratic
/// model: Ba, Grosse & Martens 2017. Departures: each layer clips by itself; no momentum of the
/// update.
class Kfac final : public Preconditioner {
 public:
  Kfac(const PreconditionerParams& params, Index units, Index inputs)
      : interval_(static_cast<std::uint64_t>(params.own.value(rule_info(), "interval"))),
        inverse_interval_(
            static_cast<std::uint64_t>(params.own.value(rule_info(), "inverse_interval"))),
        root_damping_(std::sqrt(params.own.value(rule_info(), "damping"))),
        kl_clip_(params.own.value(rule_info(), "kl_clip")),
        sampled_(params.own.value(rule_info(), "sampled") != 0),
        learning_rate_(params.learning_rate) {
    const double momentum = params.own.value(rule_info(), "statistics_momentum");
    if (params.own.value(rule_info(), "input_factor") != 0) input_ = {inputs + 1, momentum};
    if (params.own.value(rule_info(), "error_factor") != 0) error_ = {units, momentum};
  }

  const RuleInfo& info() const override { return rule_info(); }
  FisherErrors fisher_errors() const override {
    return sampled_ && error_.is_used() ? FisherErrors::sampled : FisherErrors::none;
  }
  int fisher_interval() const override { return static_cast<int>(interval_); }
  bool reads_delta() const override { return !sampled_ && error_.is_used(); }

  void apply(const CurvatureView& view, MatrixRef gradient) override {
    if ((view.step - 1) % interval_ == 0) {
      if (input_.is_used()) input_.add(with_constant(view.x), view.compute);
      if (error_.is_used()) error_.add(sampled_ ? view.fisher_delta : view.delta, view.compute);
    }
    if ((view.step - 1) % inverse_interval_ == 0) invert();
    if (kl_clip_ > 0) before_ = gradient;
    if (input_.is_used()) {
      scratch_ = gradient;
      gradient.setZero();
      view.compute.add_product(1, {scratch_}, input_.inverse(), gradient);
    }
    if (error_.is_used()) {
      scratch_ = gradient;
      gradient.setZero();
      view.compute.add_product(1, {error_.inverse()}, scratch_, gradient);
    }
    if (kl_clip_ == 0) return;
    const double divergence = learning_rate_ * learning_rate_ *
                              before_.cast<double>().cwiseProduct(gradient.cast<double>()).sum();
    if (divergence > kl_clip_) gradient *= static_cast<Scalar>(std::sqrt(kl_clip_ / divergence));
  }

  void visit_state(const std::string& prefix, const TensorVisitor& visit) override {
    input_.visit_state(prefix + "input_", visit);
    error_.visit_state(prefix + "error_", visit);
  }
  std::vector<TensorSpec> tensors(const std::string& prefix, Index units,
                                  Index inputs) const override {
    std::vector<TensorSpec> all;
    const auto append = [&](const std::vector<TensorSpec>& factor) {
      all.insert(all.end(), factor.begin(), factor.end());
    };
    if (input_.is_used()) append(KroneckerFactor::tensors(prefix + "input_", inputs + 1));
    if (error_.is_used()) append(KroneckerFactor::tensors(prefix + "error_", units));
    return all;
  }

 private:
  static const RuleInfo& rule_info() {
    static const RuleInfo info{
        "natural gradient with both Kronecker factors of each layer's Fisher information, or one",
        "Martens & Grosse 2015; each layer clips its own update",
        {{"damping", 0.03, 1e-12, 1e6, "lambda"},
         {"statistics_momentum", 0.05, 1e-6, 1, "weight of a new batch in the factors"},
         {"interval", 1, 1, 1e6, "steps from one look at the factors to the next", true},
         {"inverse_interval", 10, 1, 1e6, "steps from one inverse of the factors to the next",
          true},
         {"kl_clip", 1e-3, 0, 1e6, "bound of lr^2 <update, gradient>; 0: none"},
         {"input_factor", 1, 0, 1, "0: leave A out", true},
         {"error_factor", 1, 0, 1, "0: leave S out", true},
         {"sampled", 1, 0, 1, "0: S of the errors at hand, not of targets drawn from the model",
          true}},
        {"G", "none",
         "all to all: second moments of the layer's inputs and errors, and their inverses; errors "
         "of drawn targets from above"}};
    return info;
  }

  void invert() {
    constexpr double smallest = 1e-30;  // of a layer that nothing reaches
    const double input = input_.is_used() ? std::max(input_.mean_eigenvalue(), smallest) : 1;
    const double error = error_.is_used() ? std::max(error_.mean_eigenvalue(), smallest) : 1;
    const double pi = std::sqrt(input / error);
    if (input_.is_used()) input_.invert(pi * root_damping_);
    if (error_.is_used()) error_.invert(root_damping_ / pi);
  }

  std::uint64_t interval_, inverse_interval_;
  double root_damping_, kl_clip_;
  bool sampled_;
  double learning_rate_;
  KroneckerFactor input_, error_;
  Matrix scratch_, before_;
};

}  // namespace

std::unique_ptr<Preconditioner> kfac(const PreconditionerParams& params, Index units,
                                     Index inputs) {
  return std::make_unique<Kfac>(params, units, inputs);
}

}  // namespace lateral::preconditioner
