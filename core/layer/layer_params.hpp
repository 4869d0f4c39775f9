// LayerParams: the settings of one layer in an experiment, for every kind of layer.
#pragma once

#include "core/activation/activation.hpp"
#include "core/credit/credit.hpp"
#include "core/decorrelation/decorrelator.hpp"
#include "core/optimizer/optimizer.hpp"
#include "core/preconditioner/preconditioner.hpp"

namespace lateral {

/// Shape of one sample, flattened in the order channel, row, column.
struct Shape {
  Index channels = 1, height = 1, width = 1;
  Index size() const { return channels * height * width; }
  bool operator==(const Shape&) const = default;
};

/// What becomes of a training step whose change of the layer's state is not finite, or too large.
enum class Diverging {
  stop,  ///< diverged() names the quantity
  skip,  ///< all of the state stays as it was before the step
  shorten,  ///< not finite: skip. ‖ΔW‖_F > change_max ‖W‖_F: the change of W and b is halved until
            ///< it is not, halvings_max times at most, else skip. So is that of R, M and threshold,
            ///< unless the rule turns W along with R.
};
inline constexpr int halvings_max = 10;

struct LayerParams {
  Shape input;        ///< of what W multiplies: all inputs of the layer, concatenated
  Index units = 0;    ///< where the kind of layer takes their number from the experiment
  Index classes = 0;  ///< units of the network's output
  bool is_output = false;
  double initial_gain = 1;  ///< W ~ U(±initial_gain / √inputs)
  MakeActivation* activation = nullptr;
  MakeCreditRule* credit = nullptr;
  RuleParameters credit_parameters;
  double sigma = 1e-3;                         ///< of the noise of a rule that perturbs
  bool feedback_through_decorrelation = true;  ///< false: send_back gives the error at x itself
  MakePreconditioner* preconditioner = nullptr;
  PreconditionerParams preconditioner_params;
  MakeOptimizer* optimizer = nullptr;
  OptimizerParams optimizer_params;
  Diverging diverging = Diverging::stop;
  double change_max = 1;            ///< of W, R and M, relative to themselves; shorten
  DecorrelatorParams decorrelator;  ///< its compute is the whole layer's

  Index inputs() const { return input.size(); }
};

}  // namespace lateral
