// Saves the state before a change, restores it, and halves the change.
#include "core/layer/divergence_guard.hpp"

#include <algorithm>
#include <cmath>

namespace lateral {

bool DivergenceGuard::apply(const VisitTensors& state, std::uint64_t step, const Compute& compute,
                            const std::function<void()>& change,
                            std::optional<Divergence>& diverged) {
  if (policy_ == Diverging::stop) {
    change();
    return true;
  }
  kept_.keep(state, compute);
  change();
  if (!diverged) diverged = divergence_of(state, step);
  if (!diverged) return true;
  kept_.put_back(state, compute);
  diverged.reset();
  return false;
}

bool DivergenceGuard::shorten(const VisitTensors& state, std::initializer_list<TensorRole> limited,
                              TensorRole along, std::uint64_t step,
                              std::optional<Divergence>& diverged) const {
  if (policy_ != Diverging::shorten) return false;
  const auto is_limited = [&](const TensorView& tensor) {
    return std::find(limited.begin(), limited.end(), tensor.role) != limited.end();
  };
  double largest = 0;
  std::string name;
  state([&](const TensorView& tensor) {
    if (!is_limited(tensor)) return;
    const double change = kept_.relative_change(tensor);
    if (name.empty() || change > largest) name = tensor.name;
    largest = std::max(largest, change);
  });
  int halvings = 0;
  while (halvings <= halvings_max && std::ldexp(largest, -halvings) > change_max_) ++halvings;
  if (halvings == 0) return false;
  if (halvings > halvings_max) {
    diverged = {"change of " + name, step, largest};
    return false;
  }
  const auto factor = static_cast<Scalar>(std::ldexp(1.0, -halvings));
  state([&](const TensorView& tensor) {
    if (is_limited(tensor) || tensor.role == along) kept_.shorten(tensor, factor);
  });
  return true;
}

}  // namespace lateral
