// A layer with fixed random weights, a kind of layer of one's own: it learns nothing, and sends
// errors back through its weights.
#include <cmath>

#include "core/plugin.hpp"
#include "core/random.hpp"

namespace lateral::layer_kind {
namespace {

/// Of one training step: input, pre-activation and δ (· × batch).
struct ProjectionStep final : LayerStep {
  Matrix z, a, delta;
};

/// y = f(W z + b + added), W and b ~ U(±1 / √inputs) from the seed.
///   Source: Schmidt, Kraaijveld & Duin 1992 (feed-forward networks with random hidden weights)
class RandomProjection final : public Layer {
 public:
  RandomProjection(const LayerParams& params, std::uint64_t seed, std::uint32_t node)
      : activation_{params.activation()},
        weight_(params.units, params.inputs()),
        bias_(params.units) {
    const double bound = 1 / std::sqrt(static_cast<double>(params.inputs()));
    RandomStream(seed, node, 0, Purpose::initial_weight).fill_uniform(weight_, bound);
    RandomStream(seed, node, 0, Purpose::initial_bias).fill_uniform(bias_, bound);
  }

  std::unique_ptr<LayerStep> make_step() const override {
    return std::make_unique<ProjectionStep>();
  }
  void begin(LayerStep& layer_step, std::uint64_t number, Index batch) override {
    ProjectionStep& step = own(layer_step);
    step.number = number;
    step.batch = batch;
    step.report = {};
    step.z.resize(weight_.cols(), batch);
    step.a.resize(weight_.rows(), batch);
    step.delta.resize(weight_.rows(), batch);
  }
  void forward(LayerStep& layer_step, Index first, ConstMatrixRef z, ConstMatrixRef added,
               MatrixRef y) override {
    ProjectionStep& step = own(layer_step);
    step.z.middleCols(first, z.cols()) = z;
    auto a = step.a.middleCols(first, z.cols());
    project(z, added, a, step.number);
    activation_->apply(a, y);
  }
  void evaluate(ConstMatrixRef z, ConstMatrixRef added, MatrixRef y) override {
    project(z, added, y, 0);
    activation_->apply(y, y);
  }
  /// Without noise of its own: it would have nothing to learn from it.
  void forward_perturbed(LayerStep& layer_step, Piece piece, ConstMatrixRef dz,
                         ConstMatrixRef d_added, bool /*own_noise*/, MatrixRef dy,
                         MatrixRef squared_change) override {
    Matrix da = Matrix::Zero(weight_.rows(), piece.count);
    if (dz.size() > 0) da.noalias() += weight_ * dz;
    if (d_added.size() > 0) da += d_added;
    activation_->difference(own(layer_step).a.middleCols(piece.first, piece.count), da, dy);
    if (squared_change.size() > 0) squared_change = da.colwise().squaredNorm();
  }
  void receive(LayerStep& layer_step, Index first, Signal kind, ConstMatrixRef signal) override {
    if (kind == Signal::output_error || kind == Signal::reward) return;  // nothing is sent back
    ProjectionStep& step = own(layer_step);
    auto delta = step.delta.middleCols(first, signal.cols());
    activation_->slope(step.a.middleCols(first, signal.cols()), delta);
    delta.array() *= signal.array();
  }
  void send_back(LayerStep& layer_step, Piece piece, Signal, MatrixRef at_input,
                 MatrixRef at_added) override {
    const auto delta = own(layer_step).delta.middleCols(piece.first, piece.count);
    if (at_added.size() > 0) at_added = delta;
    if (at_input.size() > 0) at_input.noalias() = weight_.transpose() * delta;
  }
  void learn(LayerStep&, bool) override {}

  void visit_state(const TensorVisitor& visit) override {
    visit_matrix(visit, "weight", weight_, TensorRole::weight);
    visit_vector(visit, "bias", bias_, TensorRole::bias);
  }
  const std::optional<Divergence>& diverged() const override { return diverged_; }
  const Matrix& centred(const LayerStep& step) const override { return own(step).z; }
  const Matrix& decorrelated(const LayerStep& step) const override { return own(step).z; }

 private:
  static ProjectionStep& own(LayerStep& step) { return static_cast<ProjectionStep&>(step); }
  static const ProjectionStep& own(const LayerStep& step) {
    return static_cast<const ProjectionStep&>(step);
  }
  /// a ← W z + b + added
  void project(ConstMatrixRef z, ConstMatrixRef added, MatrixRef a, std::uint64_t step) {
    a.noalias() = weight_ * z;
    a.colwise() += bias_;
    if (added.size() > 0) a += added;
    if (!diverged_) diverged_ = divergence_of(a, "activity", step);
  }

  std::unique_ptr<Activation> activation_;
  Matrix weight_;
  Vector bias_;
  std::optional<Divergence> diverged_;
};

class RandomProjectionKind final : public LayerKind {
 public:
  std::string summary() const override {
    return "y = f(W x + b + added) with fixed random W and b; it learns nothing";
  }
  std::string refusal(const LayerParams& params) const override {
    if (params.units < 1) return "no units, expected units: N";
    if (params.decorrelator.rule != find_entry(decorrelation_table(), "none"))
      return "it does not decorrelate its input, expected decorrelation: \"none\" in the layer";
    return "";
  }
  Shape output_shape(const LayerParams& params) const override { return {params.units, 1, 1}; }
  std::vector<TensorSpec> tensors(const LayerParams& params) const override {
    return {{"weight", TensorRole::weight, {params.units, params.inputs()}},
            {"bias", TensorRole::bias, {params.units}}};
  }
  std::unique_ptr<Layer> make(const LayerParams& params, std::uint64_t seed,
                              std::uint32_t node) const override {
    return std::make_unique<RandomProjection>(params, seed, node);
  }
};

const LayerKind& random_projection() {
  static const RandomProjectionKind kind;
  return kind;
}

}  // namespace
}  // namespace lateral::layer_kind

LATERAL_PLUGIN({"random_projection", lateral::layer_kind::random_projection})
