// Squared error: L = Σ_k (y_k − t_k)², e = 2 (y − t).
#include <cmath>

#include "core/loss/loss.hpp"

namespace lateral::loss {
namespace {

/// As a model: t ~ N(y, ½ I), so that e = −2 (t − y) ~ N(0, 2 I).
class SquaredError final : public Loss {
 public:
  bool takes_vectors() const override { return true; }
  double constant_fisher() const override { return 2; }

 private:
  double of_sample(ConstVectorRef y, ConstVectorRef target, VectorRef error) const override {
    double loss = 0;
    for (Index k = 0; k < y.size(); ++k) {
      const double off = static_cast<double>(y[k]) - static_cast<double>(target[k]);
      loss += off * off;
      error[k] = static_cast<Scalar>(2 * off);
    }
    return loss;
  }

  /// Σ_k d_k (2 (y_k − t_k) + d_k): proportional to d, so nothing cancels.
  double difference_of_sample(ConstVectorRef y, ConstVectorRef d,
                              ConstVectorRef target) const override {
    double difference = 0;
    for (Index k = 0; k < y.size(); ++k) {
      const double off = static_cast<double>(y[k]) - static_cast<double>(target[k]);
      const double step = static_cast<double>(d[k]);
      difference += step * (2 * off + step);
    }
    return difference;
  }

  void sample_error_of(ConstVectorRef y, const RandomStream& random, std::uint64_t sample,
                       VectorRef error) const override {
    Matrix noise(y.size(), 1);
    random.fill_normal(noise, std::sqrt(2.0), sample * static_cast<std::uint64_t>(y.size()));
    error = noise.col(0);
  }
};

}  // namespace

std::unique_ptr<Loss> squared_error() { return std::make_unique<SquaredError>(); }

}  // namespace lateral::loss
