// Interneurons: each reads one direction of the layer's activity and feeds it back as inhibition.
#include <Eigen/Eigenvalues>
#include <Eigen/QR>

#include "core/decorrelation/rule.hpp"

namespace lateral::decorrelation {
namespace {

/// M x = zc with M = leak·I + V diag(g) Vᵀ; interneuron k sees n_k = v_kᵀ x and answers g_k n_k:
///   g_k ← g_k + η (<n_k²> − 1), not below 0 unless asked for,   v_k ← (v_k + η·synapse <x g_k
///   n_k>) / ‖…‖.
/// Fixed point: every direction that an interneuron with g_k > 0 reads has variance 1; with
/// n (n + 1) / 2 of them in general position, and gains of either sign, C = I.
/// Source: Lipshutz & Simoncelli 2024, with linear interneurons (their exponent held where the
/// response is linear), which is Duong et al. 2023; `synapse` 0 keeps the directions fixed.
/// Departs from the published circuit of Lipshutz & Simoncelli, whose step of a gain is scaled by
/// that gain, g_k ← g_k + η g_k (<n_k²> − 1): here it is not, as in Duong et al.
class Lipshutz2024 final : public DecorrelationRule {
 public:
  explicit Lipshutz2024(const DecorrelationParams& params)
      : params_(params),
        per_unit_(static_cast<Index>(params.own.value(info(), "interneurons_per_unit"))),
        leak_(static_cast<Scalar>(params.own.value(info(), "leak"))),
        synapse_(static_cast<Scalar>(params.own.value(info(), "synapse"))),
        negative_gain_(params.own.value(info(), "negative_gain") != 0) {}
  const RuleInfo& info() const override {
    static const RuleInfo info{
        "interneurons that adapt their gain to the variance of what they read; the step is added "
        "to "
        "the gain, where the published circuit scales it by the gain",
        "Lipshutz & Simoncelli 2024, linear interneurons (Duong et al. 2023)",
        {{"interneurons_per_unit", 1, 1, 64, "their number over that of the units, a whole number"},
         {"leak", 0.5, 1e-6, 1000, "α: what M has without interneurons"},
         {"synapse", 0, 0, 1000, "rate of their synapses over η"},
         {"negative_gain", 0, 0, 1, "1: a gain may fall below 0, which excites"}},
        {"x_i, V_ik", "n_k of the interneuron", "none; an interneuron reads its own n_k and g_k"}};
    return info;
  }
  DecorrelationModes modes() const override { return {false, true}; }
  void begin(Index n, const RandomStream& random, DecorrelationState& state) override {
    const Index k = per_unit_ * n;
    directions_.resize(n, k);
    random.fill_normal(directions_, 1);
    // A tight frame, V Vᵀ = (k / n) I, so that M = I / s with the initial scale s, as far as the
    // leak is not above 1 / s.
    if (k == n)
      directions_ = Matrix(Eigen::HouseholderQR<Matrix>(directions_).householderQ());
    else
      make_tight_frame();
    const Scalar rest = std::max<Scalar>(0, 1 / params_.initial_scale - leak_);
    gain_.setConstant(k, rest / static_cast<Scalar>(per_unit_));
    assemble(plain_compute(), state.M);
  }
  DecorrelationUpdate update(const DecorrelationView& view, DecorrelationState& state) override {
    const Scalar eta = params_.learning_rate;
    const Scalar share = 1 / static_cast<Scalar>(view.x.cols());
    read_.setZero(gain_.size(), view.x.cols());
    view.compute.add_product(1, {directions_, true}, view.x, read_);
    if (synapse_ > 0) {
      answer_ = gain_.asDiagonal() * read_;
      add_outer_product(eta * synapse_ * share, view.x, answer_, directions_, view.compute);
      directions_.colwise().normalize();
    }
    gain_.array() += eta * (share * read_.rowwise().squaredNorm().array() - 1);
    if (!negative_gain_) gain_ = gain_.cwiseMax(Scalar{0});
    assemble(view.compute, state.M);
    return {};
  }
  /// M from directions and gains; or these from M alone, whose eigenvectors are then the first n
  /// directions and the only ones with a gain.
  bool derive_missing(const std::string& prefix, const MissingTensors& missing,
                      DecorrelationState& state, const Compute& compute) override {
    const bool has_matrix = !missing.contains(prefix + "M");
    const bool has_own =
        !missing.contains(prefix + "directions") || !missing.contains(prefix + "interneuron_gain");
    if (!has_own && has_matrix) {
      const Eigen::SelfAdjointEigenSolver<Matrix> solver(state.M);
      const Index n = state.M.rows();
      directions_.leftCols(n) = solver.eigenvectors();
      gain_.setZero();
      gain_.head(n) = solver.eigenvalues().array() - leak_;
      if (!negative_gain_) gain_ = gain_.cwiseMax(Scalar{0});
    }
    if (has_own == has_matrix) return false;  // all are there, or none
    assemble(compute, state.M);
    return true;
  }
  void visit_state(const std::string& prefix, const TensorVisitor& visit) override {
    visit_matrix(visit, prefix + "directions", directions_);
    visit_vector(visit, prefix + "interneuron_gain", gain_);
  }
  std::vector<TensorSpec> own_tensors(const std::string& prefix, Index n) const override {
    return {{prefix + "directions", TensorRole::other, {n, per_unit_ * n}},
            {prefix + "interneuron_gain", TensorRole::other, {per_unit_ * n}}};
  }

 private:
  /// Makes the directions a tight frame of unit vectors near the random ones, and so in general
  /// position: alternately V ← (3/2 I − 1/2 (n/k) V Vᵀ) V, a Newton step to the nearest tight
  /// frame, and unit columns.
  void make_tight_frame() {
    constexpr int iterations_max = 200;
    const auto tolerance = static_cast<Scalar>(1e-6);
    const Index n = directions_.rows();
    const Scalar share = static_cast<Scalar>(n) / static_cast<Scalar>(directions_.cols());
    directions_.colwise().normalize();
    for (int i = 0; i < iterations_max; ++i) {
      const Matrix excess = share * directions_ * directions_.transpose() - Matrix::Identity(n, n);
      if (excess.cwiseAbs().maxCoeff() < tolerance) return;
      directions_ -= Matrix(excess * directions_) / 2;
      directions_.colwise().normalize();
    }
  }

  void assemble(const Compute& compute, Matrix& M) {
    weighted_ = directions_ * gain_.asDiagonal();
    M = Matrix::Identity(directions_.rows(), directions_.rows()) * leak_;
    add_outer_product(1, weighted_, directions_, M, compute);
  }

  DecorrelationParams params_;
  Index per_unit_;
  Scalar leak_, synapse_;
  bool negative_gain_;
  Matrix directions_;  // V (n × k)
  Vector gain_;        // g (k)
  Matrix read_, answer_, weighted_;
};

}  // namespace

std::unique_ptr<DecorrelationRule> lipshutz2024(const DecorrelationParams& params) {
  return std::make_unique<Lipshutz2024>(params);
}

}  // namespace lateral::decorrelation
