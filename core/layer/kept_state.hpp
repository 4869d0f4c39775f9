// KeptState: copies of tensors before a change, to restore them or to shorten the change.
#pragma once

#include <string>
#include <vector>

#include "core/compute/compute.hpp"
#include "core/tensor.hpp"

namespace lateral {

class KeptState {
 public:
  /// In the place of what was kept before; its memory is used again.
  void keep(const VisitTensors& visit_all, const Compute& compute);
  /// Bit for bit.
  void put_back(const VisitTensors& visit_all, const Compute& compute) const;
  /// ‖now − before‖_F / ‖before‖_F; 0 if the tensor was zero.  REQUIRES: it is kept
  double relative_change(const TensorView& now) const;
  /// now ← before + factor (now − before).  REQUIRES: it is kept
  void shorten(const TensorView& now, Scalar factor) const;

 private:
  struct Kept {
    std::string name;
    Matrix before;
  };
  const Matrix& before(const TensorView& now) const;

  std::vector<Kept> kept_;
};

}  // namespace lateral
