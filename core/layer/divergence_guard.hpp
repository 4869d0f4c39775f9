// DivergenceGuard: undoes or shortens a change of a layer's state that is not finite, or too large.
#pragma once

#include <functional>
#include <initializer_list>
#include <optional>

#include "core/finite.hpp"
#include "core/layer/kept_state.hpp"
#include "core/layer/layer_params.hpp"

namespace lateral {

class DivergenceGuard {
 public:
  DivergenceGuard(Diverging policy, double change_max) : policy_(policy), change_max_(change_max) {}

  /// Calls `change`, which changes the state and may find `diverged`. Diverging::stop: that is all.
  /// Else every tensor that `state` shows is checked as well, and where a value is not finite all
  /// of them are restored bit for bit, and `diverged` is empty again. Returns whether the change
  /// has stayed.
  bool apply(const VisitTensors& state, std::uint64_t step, const Compute& compute,
             const std::function<void()>& change, std::optional<Divergence>& diverged);

  /// Diverging::shorten, within apply(): halves the change of all tensors with a role in `limited`,
  /// and of those with the role `along`, until none of `limited` has changed by more than
  /// change_max, relative to its Frobenius norm. Where halvings_max halvings are not enough,
  /// `diverged` names the tensor. Returns whether it has halved.
  bool shorten(const VisitTensors& state, std::initializer_list<TensorRole> limited,
               TensorRole along, std::uint64_t step, std::optional<Divergence>& diverged) const;

 private:
  Diverging policy_;
  double change_max_;
  KeptState kept_;
};

}  // namespace lateral
