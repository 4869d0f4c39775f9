// A decorrelator and a dense layer with one training step in flight, whose batches come in whole.
#pragma once

#include <doctest/doctest.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/decorrelation/decorrelator.hpp"
#include "core/layer/layer.hpp"
#include "core/types.hpp"

namespace lateral::test {

/// What a call is to fill in: a value that it leaves out is seen.
inline Matrix unwritten(Index rows, Index cols) {
  return Matrix::Constant(rows, cols, std::numeric_limits<Scalar>::quiet_NaN());
}

class OneStepDecorrelator {
 public:
  OneStepDecorrelator(const DecorrelatorParams& params, Index inputs, std::uint64_t seed = 1,
                      std::uint32_t node = 2)
      : decorrelator_(params, inputs, seed, node) {}

  Matrix forward_train(ConstMatrixRef z) {
    Matrix x = unwritten(z.rows(), z.cols());
    decorrelator_.begin(step_, z.cols());
    decorrelator_.forward_train(step_, 0, z, x);
    return x;
  }
  Matrix forward_evaluate(ConstMatrixRef z) {
    Matrix x;
    decorrelator_.forward_evaluate(z, x);
    return x;
  }
  Matrix forward_difference(ConstMatrixRef d) {
    Matrix dx = unwritten(d.rows(), d.cols());
    decorrelator_.forward_difference(step_, 0, d, dx);
    return dx;
  }
  Matrix backward(ConstMatrixRef error_at_x) {
    Matrix error_at_z = unwritten(error_at_x.rows(), error_at_x.cols());
    decorrelator_.backward(step_, 0, error_at_x, error_at_z);
    return error_at_z;
  }
  Matrix backward_probe(ConstMatrixRef error_at_x) {
    Matrix error_at_z = unwritten(error_at_x.rows(), error_at_x.cols());
    decorrelator_.backward_probe(step_, error_at_x, error_at_z);
    return error_at_z;
  }
  DecorrelationUpdate learn() { return decorrelator_.learn(step_); }

  const Matrix& centred() const { return step_.zc; }
  const std::optional<Settled>& forward_settled() const { return step_.forward_settled; }
  const std::optional<Settled>& backward_settled() const { return step_.backward_settled; }
  const std::optional<Settled>& evaluate_settled() const {
    return decorrelator_.evaluate_settled();
  }
  const DecorrelationState& state() const { return decorrelator_.state(); }
  void visit_state(const TensorVisitor& visit) { decorrelator_.visit_state(visit); }
  void state_loaded() { decorrelator_.state_loaded(); }
  void derive_missing(const MissingTensors& missing) { decorrelator_.derive_missing(missing); }

 private:
  Decorrelator decorrelator_;
  DecorrelationStep step_;
};

inline const LayerKind& dense_kind() { return find_entry(layer_kind_table(), "dense")(); }

class OneStepLayer {
 public:
  explicit OneStepLayer(const LayerParams& params, std::uint64_t seed = 1, std::uint32_t node = 1)
      : params_(params),
        credit_(params.credit(params.credit_parameters)),
        layer_(dense_kind().make(params, seed, node)),
        step_(layer_->make_step()) {}

  Matrix forward(ConstMatrixRef z, std::uint64_t number) {
    Matrix y = unwritten(params_.units, z.cols());
    layer_->begin(*step_, number, z.cols());
    layer_->forward(*step_, 0, z, Matrix(), y);
    return y;
  }
  Matrix evaluate(ConstMatrixRef z) {
    Matrix y = unwritten(params_.units, z.cols());
    layer_->evaluate(z, Matrix(), y);
    return y;
  }
  struct Perturbed {
    Matrix dy, squared_change;
  };
  Perturbed forward_perturbed(ConstMatrixRef dz, bool own_noise = true) {
    Perturbed found{unwritten(params_.units, step_->batch), unwritten(1, step_->batch)};
    layer_->forward_perturbed(*step_, {0, step_->batch}, dz, Matrix(), own_noise, found.dy,
                              found.squared_change);
    return found;
  }
  /// The signal that the credit rule asks for.
  void receive(ConstMatrixRef signal) { receive(credit_->signal(), signal); }
  void receive(Signal kind, ConstMatrixRef signal) {
    received_columns_ = signal.cols();
    layer_->receive(*step_, 0, kind, signal);
  }
  /// The error at z, after receive() of the same kind.
  Matrix send_back(Signal kind = Signal::error) {
    Matrix at_input = unwritten(params_.inputs(), received_columns_), at_added;
    layer_->send_back(*step_, {0, received_columns_}, kind, at_input, at_added);
    return at_input;
  }
  std::vector<std::pair<std::string, double>> measure() { return layer_->measure(*step_); }
  double measure(const std::string& name) {
    for (const auto& [its_name, value] : measure())
      if (its_name == name) return value;
    FAIL("no measure " << name);
    return 0;
  }
  void learn(bool measure_update = false) { layer_->learn(*step_, measure_update); }

  const LayerParams& params() const { return params_; }
  const CreditRule& credit() const { return *credit_; }
  const StepReport& report() const { return step_->report; }
  const std::optional<Divergence>& diverged() const { return layer_->diverged(); }
  void visit_state(const TensorVisitor& visit) { layer_->visit_state(visit); }
  void state_loaded() { layer_->state_loaded(); }

 private:
  LayerParams params_;
  std::unique_ptr<CreditRule> credit_;
  std::unique_ptr<Layer> layer_;
  std::unique_ptr<LayerStep> step_;
  Index received_columns_ = 0;
};

}  // namespace lateral::test
