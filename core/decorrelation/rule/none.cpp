// No decorrelation: x is the demeaned input.
#include "core/decorrelation/rule.hpp"

namespace lateral::decorrelation {
namespace {

class None final : public DecorrelationRule {
 public:
  const RuleInfo& info() const override {
    static const RuleInfo info{"no decorrelation", "", {}, {"none", "none", "none"}};
    return info;
  }
  KeptTensors kept_tensors(DecorrelationMode) const override {
    return {.R = false, .M = false, .threshold = false};
  }
  void begin(Index, const RandomStream&, DecorrelationState&) override {}
  DecorrelationUpdate update(const DecorrelationView&, DecorrelationState&) override { return {}; }
};

}  // namespace

std::unique_ptr<DecorrelationRule> none(const DecorrelationParams&) {
  return std::make_unique<None>();
}

}  // namespace lateral::decorrelation
