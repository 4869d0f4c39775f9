// Loss: the price of a network's output for each sample, and its gradient.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/check.hpp"
#include "core/table.hpp"
#include "core/types.hpp"

namespace lateral {

/// A loss is given by its value, gradient and difference for one sample; y, d, error (classes).
class Loss {
 public:
  virtual ~Loss() = default;

  /// Per-sample loss L_n and error e = ∂L_n/∂y_n (not divided by the batch size).
  ///   y (classes × b) network output;  labels (b) in [0, classes);
  ///   losses (b);  error (classes × b)
  void evaluate(ConstMatrixRef y, std::span<const std::uint32_t> labels, std::span<double> losses,
                MatrixRef error) const {
    LATERAL_CHECK(losses.size() == labels.size());
    for (Index n = 0; n < y.cols(); ++n)
      losses[static_cast<std::size_t>(n)] =
          of_sample(y.col(n), label_of(y, labels, n), error.col(n));
  }

  /// differences_n = L_n(y + d) − L_n(y), evaluated in double precision from d itself, so that a
  /// small d is not lost to rounding. Shapes as above.
  void difference(ConstMatrixRef y, ConstMatrixRef d, std::span<const std::uint32_t> labels,
                  std::span<double> differences) const {
    LATERAL_CHECK(differences.size() == labels.size());
    for (Index n = 0; n < y.cols(); ++n)
      differences[static_cast<std::size_t>(n)] =
          difference_of_sample(y.col(n), d.col(n), label_of(y, labels, n));
  }

 private:
  virtual double of_sample(ConstVectorRef y, Index label, VectorRef error) const = 0;
  virtual double difference_of_sample(ConstVectorRef y, ConstVectorRef d, Index label) const = 0;

  static Index label_of(ConstMatrixRef y, std::span<const std::uint32_t> labels, Index n) {
    LATERAL_CHECK(labels.size() == static_cast<std::size_t>(y.cols()));
    const Index label = labels[static_cast<std::size_t>(n)];
    LATERAL_CHECK(label < y.rows());
    return label;
  }
};

using MakeLoss = std::unique_ptr<Loss>();

/// Every file of core/loss/, by name.
std::span<const TableEntry<MakeLoss>> loss_table();

}  // namespace lateral
