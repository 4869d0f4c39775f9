// Loss: the loss of a network's output for each sample, and its gradient.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <span>

#include "core/check.hpp"
#include "core/random.hpp"
#include "core/table.hpp"
#include "core/types.hpp"

namespace lateral {

/// A loss is given by its value, gradient and difference for one sample; y, target, d, error
/// (outputs). It is also a model of the targets, p(t | y) ∝ exp(−L(y, t)), whose Fisher information
/// F = <e eᵀ>, t ~ p(t | y), is what natural gradients need.
class Loss {
 public:
  virtual ~Loss() = default;

  /// Per-sample loss L_n and error e = ∂L_n/∂y_n (not divided by the batch size).
  ///   y (outputs × b) network output;  target (outputs × b), onehot for a label;
  ///   losses (b);  error (outputs × b)
  void evaluate(ConstMatrixRef y, ConstMatrixRef target, std::span<double> losses,
                MatrixRef error) const {
    check(y, target, losses);
    for (Index n = 0; n < y.cols(); ++n)
      losses[static_cast<std::size_t>(n)] = of_sample(y.col(n), target.col(n), error.col(n));
  }

  /// differences_n = L_n(y + d) − L_n(y), evaluated in double precision from d itself, so that a
  /// small d is not lost to rounding. Shapes as above.
  void difference(ConstMatrixRef y, ConstMatrixRef d, ConstMatrixRef target,
                  std::span<double> differences) const {
    check(y, target, differences);
    for (Index n = 0; n < y.cols(); ++n)
      differences[static_cast<std::size_t>(n)] =
          difference_of_sample(y.col(n), d.col(n), target.col(n));
  }

  /// The error e for a target drawn from p(t | y), for each sample: element n of the stream is
  /// sample first + n.
  ///   y, error (outputs × b)
  void sample_error(ConstMatrixRef y, const RandomStream& random, Index first,
                    MatrixRef error) const {
    for (Index n = 0; n < y.cols(); ++n)
      sample_error_of(y.col(n), random, static_cast<std::uint64_t>(first + n), error.col(n));
  }

  /// Whether a target may be any vector, not only onehot.
  virtual bool takes_vectors() const = 0;
  /// f with F = f I whatever y is, or 0 where F depends on y.
  virtual double constant_fisher() const = 0;

 private:
  virtual double of_sample(ConstVectorRef y, ConstVectorRef target, VectorRef error) const = 0;
  virtual double difference_of_sample(ConstVectorRef y, ConstVectorRef d,
                                      ConstVectorRef target) const = 0;
  virtual void sample_error_of(ConstVectorRef y, const RandomStream& random, std::uint64_t sample,
                               VectorRef error) const = 0;

  static void check(ConstMatrixRef y, ConstMatrixRef target, std::span<const double> values) {
    LATERAL_CHECK(target.rows() == y.rows());
    LATERAL_CHECK(target.cols() == y.cols());
    LATERAL_CHECK(values.size() == static_cast<std::size_t>(y.cols()));
  }
};

/// Labels in [0, classes) as targets (classes × b): 1 at the label, else 0.
inline Matrix onehot(std::span<const std::uint32_t> labels, Index classes) {
  Matrix target = Matrix::Zero(classes, static_cast<Index>(labels.size()));
  for (Index n = 0; n < target.cols(); ++n) {
    const Index label = labels[static_cast<std::size_t>(n)];
    LATERAL_CHECK(label < classes);
    target(label, n) = 1;
  }
  return target;
}

/// errors ← √f I: a basis of errors whose sum of outer products is the constant Fisher information
/// f I of a loss (constant_fisher()), whatever the output is.
///   errors (outputs × outputs)
inline void fisher_basis(double constant_fisher, MatrixRef errors) {
  errors = static_cast<Scalar>(std::sqrt(constant_fisher)) *
           Matrix::Identity(errors.rows(), errors.cols());
}

using MakeLoss = std::unique_ptr<Loss>();

/// Every loss of core/loss/kind/, by name.
std::span<const TableEntry<MakeLoss>> loss_table();

}  // namespace lateral
