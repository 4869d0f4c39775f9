// Direct feedback alignment: the output error is broadcast, and each layer reads it through its own
// fixed random weights B.
#include <cmath>

#include "core/credit/credit.hpp"

namespace lateral::credit {
namespace {

/// δ = (B e) ⊙ f'(a) with B (units × classes) and e the error at the network's output; the output
/// layer takes e itself.   Source: Nøkland 2016
class DirectFeedbackAlignment final : public CreditRule {
 public:
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "each layer reads the output error through fixed random weights",
        "Nøkland 2016",
        {},
        {"x_j, f'(a_i), B_i", "none", "the output error, a number a class and sample"}};
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
      delta.noalias() = view.feedback * view.signal;
      delta.array() *= view.slope.array();
    }
  }
};

}  // namespace

std::unique_ptr<CreditRule> direct_feedback_alignment(const RuleParameters&) {
  return std::make_unique<DirectFeedbackAlignment>();
}

}  // namespace lateral::credit
