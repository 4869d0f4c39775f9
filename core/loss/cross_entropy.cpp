// Softmax cross-entropy: L = log Σ_k exp(y_k) − y_label, e = softmax(y) − onehot.
#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "core/loss/loss.hpp"

namespace lateral::loss {
namespace {

class CrossEntropy final : public Loss {
 public:
  void evaluate(ConstMatrixRef y, std::span<const std::uint32_t> labels, std::span<double> losses,
                MatrixRef error) const override {
    LATERAL_CHECK(labels.size() == static_cast<std::size_t>(y.cols()));
    LATERAL_CHECK(losses.size() == labels.size());
    for (Index n = 0; n < y.cols(); ++n) {
      const Index label = labels[static_cast<std::size_t>(n)];
      LATERAL_CHECK(label < y.rows());
      const double log_sum = log_sum_exp(y, n);
      losses[static_cast<std::size_t>(n)] = log_sum - static_cast<double>(y(label, n));
      for (Index k = 0; k < y.rows(); ++k)
        error(k, n) = static_cast<Scalar>(std::exp(static_cast<double>(y(k, n)) - log_sum) -
                                          (k == label ? 1.0 : 0.0));
    }
  }

  /// L(y + d) − L(y) = log Σ_k p_k exp(d_k − d_label) = log1p(Σ_k p_k expm1(d_k − d_label)), where
  /// p = softmax(y): every term is of the size of d, and the label's own is exactly zero.
  void difference(ConstMatrixRef y, ConstMatrixRef d, std::span<const std::uint32_t> labels,
                  std::span<double> differences) const override {
    LATERAL_CHECK(labels.size() == static_cast<std::size_t>(y.cols()));
    LATERAL_CHECK(differences.size() == labels.size());
    for (Index n = 0; n < y.cols(); ++n) {
      const Index label = labels[static_cast<std::size_t>(n)];
      LATERAL_CHECK(label < y.rows());
      const double log_sum = log_sum_exp(y, n);
      const double d_label = static_cast<double>(d(label, n));
      const double largest = static_cast<double>(d.col(n).maxCoeff()) - d_label;
      // A large difference has nothing to lose by the logarithm, but much by an exponential.
      const double shift = largest > 30 ? largest : 0.0;
      double sum = 0;
      for (Index k = 0; k < y.rows(); ++k) {
        const double p = std::exp(static_cast<double>(y(k, n)) - log_sum);
        const double relative = static_cast<double>(d(k, n)) - d_label;
        sum += p * (shift > 0 ? std::exp(relative - shift) : std::expm1(relative));
      }
      differences[static_cast<std::size_t>(n)] =
          shift > 0 ? shift + std::log(sum) : std::log1p(sum);
    }
  }

 private:
  static double log_sum_exp(ConstMatrixRef y, Index n) {
    const double largest = static_cast<double>(y.col(n).maxCoeff());
    double sum = 0;
    for (Index k = 0; k < y.rows(); ++k) sum += std::exp(static_cast<double>(y(k, n)) - largest);
    return largest + std::log(sum);
  }
};

}  // namespace

std::unique_ptr<Loss> cross_entropy() { return std::make_unique<CrossEntropy>(); }

}  // namespace lateral::loss
