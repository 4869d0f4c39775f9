// Serial whitening: R ← R − η (C − I) R; settled, a Hebbian synapse that decays.
#include "core/decorrelation/relative_gradient.hpp"

namespace lateral::decorrelation {
namespace {

/// Q = C − I: whitens, C = I at the fixed point, with neither a gain nor any sum over the layer.
/// Settled: dM_ij = η (<zc_i x_j> − M_ij), the plain Hebbian rule with weight decay.
/// Source: Cardoso & Laheld 1996, the whitening part of EASI. A unit that never varies decays to
/// M_jj = 0; the floor of update_relative() keeps it from passing zero.
class Cardoso1996 final : public DecorrelationRule {
 public:
  explicit Cardoso1996(const DecorrelationParams& params) : params_(params) {}
  const RuleInfo& info() const override {
    static const RuleInfo info{"whitening; in M a Hebbian synapse with decay",
                               "Cardoso & Laheld 1996; M form: exact inverse of the implicit step",
                               {},
                               {"M_ij, drive zc_i", "x_j of the lateral inputs", "none"}};
    return info;
  }
  void begin(Index n, const RandomStream&, DecorrelationState& state) override {
    begin_scaled_identity(n, params_, state);
  }
  DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) override {
    return update_relative(view, {1, -Vector::Ones(view.x.rows())}, params_.learning_rate, state,
                           work_);
  }

 private:
  DecorrelationParams params_;
  UpdateWorkspace work_;
};

}  // namespace

std::unique_ptr<DecorrelationRule> cardoso1996(const DecorrelationParams& params) {
  return std::make_unique<Cardoso1996>(params);
}

}  // namespace lateral::decorrelation
