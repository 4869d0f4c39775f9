// Softmax cross-entropy: L = log Σ_k exp(y_k) − y_label, e = softmax(y) − onehot.
#include <algorithm>
#include <cmath>

#include "core/loss/loss.hpp"

namespace lateral::loss {
namespace {

/// As a model: the label is drawn from softmax(y), so that F = diag(p) − p pᵀ.
class CrossEntropy final : public Loss {
 public:
  bool takes_vectors() const override { return false; }
  double constant_fisher() const override { return 0; }

 private:
  static Index label_of(ConstVectorRef onehot) {
    Index label = 0;
    onehot.maxCoeff(&label);
    return label;
  }

  double of_sample(ConstVectorRef y, ConstVectorRef target, VectorRef error) const override {
    return of_label(y, label_of(target), error);
  }

  static double of_label(ConstVectorRef y, Index label, VectorRef error) {
    const double log_sum = log_sum_exp(y);
    for (Index k = 0; k < y.size(); ++k)
      error[k] = static_cast<Scalar>(std::exp(static_cast<double>(y[k]) - log_sum) -
                                     (k == label ? 1.0 : 0.0));
    return log_sum - static_cast<double>(y[label]);
  }

  /// L(y + d) − L(y) = log Σ_k p_k exp(d_k − d_label) = log1p(Σ_k p_k expm1(d_k − d_label)), where
  /// p = softmax(y): every term is of the size of d, and the label's own is exactly zero.
  double difference_of_sample(ConstVectorRef y, ConstVectorRef d,
                              ConstVectorRef target) const override {
    const Index label = label_of(target);
    const double log_sum = log_sum_exp(y);
    const double d_label = static_cast<double>(d[label]);
    const double largest = static_cast<double>(d.maxCoeff()) - d_label;
    // A large difference has nothing to lose by the logarithm, but much by an exponential.
    const double shift = largest > 30 ? largest : 0.0;
    double sum = 0;
    for (Index k = 0; k < y.size(); ++k) {
      const double p = std::exp(static_cast<double>(y[k]) - log_sum);
      const double relative = static_cast<double>(d[k]) - d_label;
      sum += p * (shift > 0 ? std::exp(relative - shift) : std::expm1(relative));
    }
    return shift > 0 ? shift + std::log(sum) : std::log1p(sum);
  }

  void sample_error_of(ConstVectorRef y, const RandomStream& random, std::uint64_t sample,
                       VectorRef error) const override {
    const double log_sum = log_sum_exp(y);
    double left = random.uniform(sample);
    Index label = 0;
    for (; label + 1 < y.size(); ++label) {
      left -= std::exp(static_cast<double>(y[label]) - log_sum);
      if (left < 0) break;
    }
    of_label(y, label, error);
  }

  static double log_sum_exp(ConstVectorRef y) {
    const double largest = static_cast<double>(y.maxCoeff());
    double sum = 0;
    for (Index k = 0; k < y.size(); ++k) sum += std::exp(static_cast<double>(y[k]) - largest);
    return largest + std::log(sum);
  }
};

}  // namespace

std::unique_ptr<Loss> cross_entropy() { return std::make_unique<CrossEntropy>(); }

}  // namespace lateral::loss
