// Direct feedback alignment by signs, an example of a credit rule as a plug-in: only the sign of
// the output error is broadcast.
#include <cmath>

#include "core/plugin.hpp"

namespace lateral::credit {
namespace {

/// δ = (B sign(e)) ⊙ f'(a) with B (units × classes) and e the error at the network's output; the
/// output layer takes e itself.   Source: Frenkel, Lefebvre & Bol 2021 (sDFA)
class SignDirectFeedbackAlignment final : public CreditRule {
 public:
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "each layer reads the signs of the output error through fixed random weights",
        "Frenkel, Lefebvre & Bol 2021 (sDFA)",
        {},
        {"x_j, f'(a_i), B_i", "none", "the sign of the output error, one a class and sample"}};
    return info;
  }
  Signal signal() const override { return Signal::output_error; }
  std::optional<FeedbackShape> feedback_shape(Index units, Index, Index classes,
                                              bool is_output) const override {
    if (is_output) return std::nullopt;
    return FeedbackShape{units, classes, std::sqrt(6.0 / static_cast<double>(classes))};
  }
  void assign(const CreditView& view, MatrixRef delta) const override {
    if (view.is_output) {
      delta = view.signal.cwiseProduct(view.slope);
    } else {
      delta.noalias() = view.feedback * view.signal.cwiseSign();
      delta.array() *= view.slope.array();
    }
  }
};

std::unique_ptr<CreditRule> sign_direct_feedback_alignment(const RuleParameters&) {
  return std::make_unique<SignDirectFeedbackAlignment>();
}

}  // namespace
}  // namespace lateral::credit

LATERAL_PLUGIN({"sign_direct_feedback_alignment", lateral::credit::sign_direct_feedback_alignment})
