// No decorrelation: x is the demeaned input, and there is no matrix.
#include "core/decorrelation/rule.hpp"

namespace lateral::decorrelation {
namespace {

class None final : public DecorrelationRule {
 public:
  bool has_matrix() const override { return false; }
  DecorrelationUpdate update_closed_form(const DecorrelationView&, MatrixRef) override {
    return {};
  }
  DecorrelationUpdate update_settled(const DecorrelationView&, MatrixRef) override { return {}; }
};

}  // namespace

std::unique_ptr<DecorrelationRule> none(const DecorrelationParams&) {
  return std::make_unique<None>();
}

}  // namespace lateral::decorrelation
