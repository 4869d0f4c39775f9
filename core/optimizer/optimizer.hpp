// Optimizer: turns the gradient of one parameter tensor into its change.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/table.hpp"
#include "core/tensor.hpp"
#include "core/types.hpp"

namespace lateral {

/// The settings of all optimizers in an experiment; each optimizer reads its own.
struct OptimizerParams {
  double learning_rate = 1e-3;
  double momentum = 0.0;  ///< sgd
  double beta1 = 0.9;     ///< adam
  double beta2 = 0.9999;  ///< adam
  double epsilon = 1e-8;  ///< adam
};

/// Keeps the moments of one parameter tensor.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// Opens a step: what all of the tensor shares, such as a count of steps.
  virtual void begin_step() = 0;
  /// parameter ← parameter + change(gradient) for the columns [first, first + columns) of the
  /// tensor, each once a step. Never allocates; threads may share out the columns of a step.
  virtual void update(Index first, ConstMatrixRef gradient, MatrixRef parameter) = 0;
  /// A whole step of the whole tensor.
  void step(ConstMatrixRef gradient, MatrixRef parameter) {
    begin_step();
    update(0, gradient, parameter);
  }
  /// The moments, each named prefix + its own name. Only begin_step() and update() change them.
  virtual void visit_state(const std::string& prefix, const TensorVisitor& visit) = 0;
  /// What visit_state() shows if the parameter tensor has this shape, whatever shape the object was
  /// made for. Default: none.
  virtual std::vector<TensorSpec> tensors(const std::string& /*prefix*/, Index /*rows*/,
                                          Index /*cols*/) const {
    return {};
  }
};

/// A moment has the shape of its parameter tensor; one column is a vector outside, as of a bias.
inline void visit_moment(const TensorVisitor& visit, std::string name, Matrix& moment) {
  visit({std::move(name), moment.data(), moment.rows(), moment.cols(), moment.cols() == 1});
}
inline TensorSpec moment_spec(std::string name, Index rows, Index cols) {
  if (cols == 1) return {std::move(name), TensorRole::other, {rows}};
  return {std::move(name), TensorRole::other, {rows, cols}};
}

using MakeOptimizer = std::unique_ptr<Optimizer>(const OptimizerParams&, Index rows, Index cols);

/// Every file of core/optimizer/, by name.
std::span<const TableEntry<MakeOptimizer>> optimizer_table();

}  // namespace lateral
