// Squared error: L = Σ_k (y_k − onehot_k)², e = 2 (y − onehot).
#include "core/check.hpp"
#include "core/loss/loss.hpp"

namespace lateral::loss {
namespace {

class SquaredError final : public Loss {
 public:
  void evaluate(ConstMatrixRef y, std::span<const std::uint32_t> labels, std::span<double> losses,
                MatrixRef error) const override {
    LATERAL_CHECK(labels.size() == static_cast<std::size_t>(y.cols()));
    LATERAL_CHECK(losses.size() == labels.size());
    for (Index n = 0; n < y.cols(); ++n) {
      const Index label = labels[static_cast<std::size_t>(n)];
      LATERAL_CHECK(label < y.rows());
      double loss = 0;
      for (Index k = 0; k < y.rows(); ++k) {
        const double off = static_cast<double>(y(k, n)) - (k == label ? 1.0 : 0.0);
        loss += off * off;
        error(k, n) = static_cast<Scalar>(2 * off);
      }
      losses[static_cast<std::size_t>(n)] = loss;
    }
  }

  /// Σ_k d_k (2 (y_k − onehot_k) + d_k): proportional to d, so nothing cancels.
  void difference(ConstMatrixRef y, ConstMatrixRef d, std::span<const std::uint32_t> labels,
                  std::span<double> differences) const override {
    LATERAL_CHECK(labels.size() == static_cast<std::size_t>(y.cols()));
    LATERAL_CHECK(differences.size() == labels.size());
    for (Index n = 0; n < y.cols(); ++n) {
      const Index label = labels[static_cast<std::size_t>(n)];
      LATERAL_CHECK(label < y.rows());
      double difference = 0;
      for (Index k = 0; k < y.rows(); ++k) {
        const double off = static_cast<double>(y(k, n)) - (k == label ? 1.0 : 0.0);
        const double step = static_cast<double>(d(k, n));
        difference += step * (2 * off + step);
      }
      differences[static_cast<std::size_t>(n)] = difference;
    }
  }
};

}  // namespace

std::unique_ptr<Loss> squared_error() { return std::make_unique<SquaredError>(); }

}  // namespace lateral::loss
