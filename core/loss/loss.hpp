// Loss: the price of a network's output for each sample, and its gradient.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/table.hpp"
#include "core/types.hpp"

namespace lateral {

class Loss {
 public:
  virtual ~Loss() = default;
  /// Per-sample loss L_n and error e = ∂L_n/∂y_n (not divided by the batch size).
  ///   y (classes × b) network output;  labels (b) in [0, classes);
  ///   losses (b);  error (classes × b)
  virtual void evaluate(ConstMatrixRef y, std::span<const std::uint32_t> labels,
                        std::span<double> losses, MatrixRef error) const = 0;
  /// differences_n = L_n(y + d) − L_n(y), evaluated in double precision from d itself, so that a
  /// small d is not lost to rounding. Shapes as above.
  virtual void difference(ConstMatrixRef y, ConstMatrixRef d, std::span<const std::uint32_t> labels,
                          std::span<double> differences) const = 0;
};

using MakeLoss = std::unique_ptr<Loss>();

/// Every file of core/loss/, by name.
std::span<const TableEntry<MakeLoss>> loss_table();

}  // namespace lateral
