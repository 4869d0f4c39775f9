// TensorView: one named array of a node's learned state, as checkpoints and digests see it.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/types.hpp"

namespace lateral {

/// What a tensor is to its layer; nothing is to be inferred from its name.
enum class TensorRole {
  weight,       ///< W
  bias,         ///< b
  feedback,     ///< B
  feedforward,  ///< R
  lateral,      ///< M
  threshold,    ///< θ
  mean,         ///< running mean of the input
  other,        ///< what a rule, an optimizer or a preconditioner keeps
};

/// One tensor that a layer keeps, as known before the layer is made.
struct TensorSpec {
  std::string name;  ///< path below the layer, e.g. "decorrelation/R"
  TensorRole role = TensorRole::other;
  std::vector<Index> shape;  ///< as outside: (rows, columns) or (size)
  bool operator==(const TensorSpec&) const = default;
};

struct TensorView {
  std::string name;  ///< path below the layer, e.g. "decorrelation/R"
  Scalar* data;      ///< column-major, rows · cols values
  Index rows;
  Index cols;
  bool is_vector;  ///< one-dimensional outside (cols == 1)
  TensorRole role = TensorRole::other;
};

/// What a tensor that is visited should have been declared as.
inline TensorSpec spec_of(const TensorView& view) {
  TensorSpec spec{view.name, view.role, {view.rows}};
  if (!view.is_vector) spec.shape.push_back(view.cols);
  return spec;
}

/// Names of tensors, of those that a layer declares, that a loaded state lacks.
using MissingTensors = std::set<std::string>;

/// Called once per tensor, in a fixed order: the order of the state digest.
using TensorVisitor = std::function<void(const TensorView&)>;
/// Shows all tensors of a state, in the same order each time; they may have moved in between.
using VisitTensors = std::function<void(const TensorVisitor&)>;

inline void visit_matrix(const TensorVisitor& visit, std::string name, Matrix& matrix,
                         TensorRole role = TensorRole::other) {
  visit({std::move(name), matrix.data(), matrix.rows(), matrix.cols(), false, role});
}
inline void visit_vector(const TensorVisitor& visit, std::string name, Vector& vector,
                         TensorRole role = TensorRole::other) {
  visit({std::move(name), vector.data(), vector.size(), 1, true, role});
}

}  // namespace lateral
