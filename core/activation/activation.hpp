// Activation: the elementwise non-linearity y = f(a) of a layer.
#pragma once

#include <memory>

#include "core/table.hpp"
#include "core/types.hpp"

namespace lateral {

class Activation {
 public:
  virtual ~Activation() = default;
  /// y = f(a); shapes equal. y may be a.
  virtual void apply(ConstMatrixRef a, MatrixRef y) const = 0;
  /// s = f'(a); shapes equal. At a kink, the derivative from below.
  virtual void slope(ConstMatrixRef a, MatrixRef s) const = 0;
  /// dy = f(a + d) − f(a), without the cancellation of subtracting two rounded values.
  virtual void difference(ConstMatrixRef a, ConstMatrixRef d, MatrixRef dy) const = 0;
};

using MakeActivation = std::unique_ptr<Activation>();

/// Every file of core/activation/, by name.
std::span<const TableEntry<MakeActivation>> activation_table();

/// An activation given as three functions of one element:
///   F::value(a), F::slope(a), F::difference(a, d).
template <class F>
class Elementwise final : public Activation {
 public:
  void apply(ConstMatrixRef a, MatrixRef y) const override {
    y = a.unaryExpr([](Scalar v) { return F::value(v); });
  }
  void slope(ConstMatrixRef a, MatrixRef s) const override {
    s = a.unaryExpr([](Scalar v) { return F::slope(v); });
  }
  void difference(ConstMatrixRef a, ConstMatrixRef d, MatrixRef dy) const override {
    dy = a.binaryExpr(d, [](Scalar v, Scalar w) { return F::difference(v, w); });
  }
};

}  // namespace lateral
