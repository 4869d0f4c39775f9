// Squared error: L = Σ_k (y_k − onehot_k)², e = 2 (y − onehot).
#include "core/loss/loss.hpp"

namespace lateral::loss {
namespace {

class SquaredError final : public Loss {
  double of_sample(ConstVectorRef y, Index label, VectorRef error) const override {
    double loss = 0;
    for (Index k = 0; k < y.size(); ++k) {
      const double off = static_cast<double>(y[k]) - (k == label ? 1.0 : 0.0);
      loss += off * off;
      error[k] = static_cast<Scalar>(2 * off);
    }
    return loss;
  }

  /// Σ_k d_k (2 (y_k − onehot_k) + d_k): proportional to d, so nothing cancels.
  double difference_of_sample(ConstVectorRef y, ConstVectorRef d, Index label) const override {
    double difference = 0;
    for (Index k = 0; k < y.size(); ++k) {
      const double off = static_cast<double>(y[k]) - (k == label ? 1.0 : 0.0);
      const double step = static_cast<double>(d[k]);
      difference += step * (2 * off + step);
    }
    return difference;
  }
};

}  // namespace

std::unique_ptr<Loss> squared_error() { return std::make_unique<SquaredError>(); }

}  // namespace lateral::loss
