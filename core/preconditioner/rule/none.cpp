// No preconditioner: weights follow their gradient.
#include "core/preconditioner/preconditioner.hpp"

namespace lateral::preconditioner {
namespace {

class None final : public Preconditioner {
 public:
  const RuleInfo& info() const override {
    static const RuleInfo info{"weights follow their gradient", "", {}, {"G", "none", "none"}};
    return info;
  }
  bool changes_gradient() const override { return false; }
  void apply(const CurvatureView&, MatrixRef) override {}
};

}  // namespace

std::unique_ptr<Preconditioner> none(const PreconditionerParams&, Index, Index) {
  return std::make_unique<None>();
}

}  // namespace lateral::preconditioner
