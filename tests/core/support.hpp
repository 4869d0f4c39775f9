// What the tests of core share: random matrices with fixed seeds, and the arithmetic's precision.
#pragma once

#include <doctest/doctest.h>

#include <Eigen/QR>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/random.hpp"
#include "core/rule_info.hpp"
#include "core/tensor.hpp"
#include "core/types.hpp"

namespace lateral::test {

inline constexpr bool is_double = std::is_same_v<Scalar, double>;
inline constexpr double epsilon = static_cast<double>(std::numeric_limits<Scalar>::epsilon());

inline Scalar s(double value) { return static_cast<Scalar>(value); }

/// N(0, 1) entries, a pure function of the arguments.
inline Matrix normal(Index rows, Index cols, std::uint64_t seed, std::uint64_t step = 0) {
  Matrix out(rows, cols);
  RandomStream(seed, 1000, step, Purpose::generated_data).fill_normal(out, 1.0);
  return out;
}

/// (n × b) columns whose units are correlated and off zero.
inline Matrix correlated(Index n, Index b, std::uint64_t seed, std::uint64_t step = 0) {
  const Matrix mix = Matrix::Identity(n, n) +
                     s(0.7) / std::sqrt(static_cast<Scalar>(n)) * normal(n, n, seed ^ 0xabcd);
  return (mix * normal(n, b, seed, step)).array() + s(0.3);
}

/// Symmetric with eigenvalues spread evenly over [smallest, largest].
inline Matrix symmetric(Index n, double smallest, double largest, std::uint64_t seed) {
  const Matrix q = Eigen::HouseholderQR<Matrix>(normal(n, n, seed)).householderQ();
  Vector eigenvalues(n);
  for (Index i = 0; i < n; ++i)
    eigenvalues[i] = s(n == 1 ? largest
                              : smallest + (largest - smallest) * static_cast<double>(i) /
                                               static_cast<double>(n - 1));
  return q * eigenvalues.asDiagonal() * q.transpose();
}

inline double max_abs(const Matrix& m) {
  return m.size() == 0 ? 0.0 : static_cast<double>(m.cwiseAbs().maxCoeff());
}

inline bool same_bits(const Matrix& a, const Matrix& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::memcmp(a.data(), b.data(), sizeof(Scalar) * static_cast<std::size_t>(a.size())) == 0;
}

/// A copy of a state, tensor by tensor.
using State = std::vector<std::pair<std::string, Matrix>>;

template <class Stateful>
State save(Stateful& object) {
  State state;
  object.visit_state([&](const TensorView& view) {
    state.emplace_back(view.name, Eigen::Map<Matrix>(view.data, view.rows, view.cols));
  });
  return state;
}

template <class Stateful>
void load(Stateful& object, const State& state) {
  std::size_t next = 0;
  object.visit_state([&](const TensorView& view) {
    REQUIRE(next < state.size());
    REQUIRE(view.name == state[next].first);
    REQUIRE(view.rows == state[next].second.rows());
    REQUIRE(view.cols == state[next].second.cols());
    Eigen::Map<Matrix>(view.data, view.rows, view.cols) = state[next++].second;
  });
  REQUIRE(next == state.size());
  object.state_loaded();
}

inline bool same_bits(const State& a, const State& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].first != b[i].first || !same_bits(a[i].second, b[i].second)) return false;
  return true;
}

/// What a state shows, to be compared with what it declares.
inline std::vector<TensorSpec> visited_tensors(const VisitTensors& visit_state) {
  std::vector<TensorSpec> visited;
  visit_state([&](const TensorView& view) {
    REQUIRE((view.cols == 1 || !view.is_vector));
    visited.push_back(spec_of(view));
  });
  return visited;
}

/// "decorrelation/R, role 3, 4 × 4; …", so that a failed comparison of two lists is readable.
inline std::string describe(const std::vector<TensorSpec>& tensors) {
  std::string text;
  for (const TensorSpec& tensor : tensors) {
    text += tensor.name + ", role " + std::to_string(static_cast<int>(tensor.role)) + ",";
    for (std::size_t i = 0; i < tensor.shape.size(); ++i)
      text += (i == 0 ? " " : " × ") + std::to_string(tensor.shape[i]);
    text += "; ";
  }
  return text;
}

/// What a rule's parameters may be set to: nothing, and each of them to its least and largest
/// value.
inline std::vector<RuleParameters> parameter_choices(const RuleInfo& info) {
  std::vector<RuleParameters> choices{RuleParameters()};
  for (const RuleParameter& parameter : info.parameters)
    for (const double value : {parameter.min, parameter.max})
      choices.emplace_back(std::map<std::string, double>{{parameter.name, value}});
  return choices;
}

inline Matrix tensor(const State& state, const std::string& name) {
  for (const auto& [its_name, value] : state)
    if (its_name == name) return value;
  FAIL("no tensor " << name);
  return {};
}

}  // namespace lateral::test
