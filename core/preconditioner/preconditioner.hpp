// Preconditioner: turns the gradient of a layer's weights by the curvature that the layer can see.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/compute/compute.hpp"
#include "core/rule_info.hpp"
#include "core/table.hpp"
#include "core/tensor.hpp"
#include "core/types.hpp"

namespace lateral {

/// Errors that a layer needs beside those of its credit rule, to know the second moment S of errors
/// under the model's own distribution of targets (Loss): the error factor of the Fisher
/// information. They go back as true errors do, through W of the layers above.
enum class FisherErrors {
  none,
  sampled,  ///< one a sample, for a target drawn from the model
  basis,  ///< Jᵀ √f for each of the network's outputs (J = ∂y/∂a): of linear networks, where J is
          ///< the same for all samples and the loss has a constant Fisher information f I
};

/// What a preconditioner reads of one step of its layer.
struct CurvatureView {
  std::uint64_t step;              ///< of training, from 1
  Eigen::Ref<const Matrix> x;      ///< what W multiplies (inputs × b)
  Eigen::Ref<const Matrix> delta;  ///< ∂loss/∂a of each sample, or the rule's stand-in (units × b)
  /// δ of the Fisher errors (units × b, or × outputs for a basis); empty on steps without them
  Eigen::Ref<const Matrix> fisher_delta;
  const Compute& compute;
};

struct PreconditionerParams {
  double learning_rate = 1e-3;  ///< of W and b
  int layers = 1;               ///< of the network
  RuleParameters own;           ///< those that the rule's info() declares
};

/// With x̄ = [x; 1] and the gradient of the layer G = [dW, db] = (1/b) Σ δ x̄ᵀ (units × inputs + 1),
/// the natural gradient is S⁻¹ G A⁻¹, A = <x̄ x̄ᵀ> and S = <δ δᵀ>, if a layer is taken by itself and
/// errors do not depend on activities (Martens & Grosse 2015; Ahmad 2024, eqs 5–8).
class Preconditioner {
 public:
  virtual ~Preconditioner() = default;
  virtual const RuleInfo& info() const = 0;
  /// False for none: G stays, and apply() is never called.
  virtual bool changes_gradient() const { return true; }
  virtual FisherErrors fisher_errors() const { return FisherErrors::none; }
  /// Fisher errors are asked for on the first step and then every so many.
  virtual int fisher_interval() const { return 1; }
  /// Whether it reads the credit rule's δ.
  virtual bool reads_delta() const { return false; }
  /// G in place.
  virtual void apply(const CurvatureView& view, MatrixRef gradient) = 0;
  /// What it keeps, below `prefix`. Only apply() changes it.
  virtual void visit_state(const std::string& /*prefix*/, const TensorVisitor& /*visit*/) {}
  /// What visit_state() shows if the layer has these sizes, whatever sizes the object was made for:
  /// made for a single unit and input, it declares the tensors of a layer of any size.
  /// Default: none.
  virtual std::vector<TensorSpec> tensors(const std::string& /*prefix*/, Index /*units*/,
                                          Index /*inputs*/) const {
    return {};
  }
};

using MakePreconditioner = std::unique_ptr<Preconditioner>(const PreconditionerParams&, Index units,
                                                           Index inputs);

/// Every file of core/preconditioner/rule/, by name.
std::span<const TableEntry<MakePreconditioner>> preconditioner_table();

}  // namespace lateral
