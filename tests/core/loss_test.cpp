// Losses: gradients, differences that are accurate for small changes, and what else is computed
// from outputs and targets.
#include "core/loss/loss.hpp"

#include "core/loss/accuracy.hpp"
#include "core/loss/teacher.hpp"
#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

namespace {

long double definition(std::string_view name, const Matrix& y, Index n, Index label,
                       const Matrix& d) {
  long double loss = 0;
  const auto value = [&](Index k) {
    return static_cast<long double>(y(k, n)) + static_cast<long double>(d(k, n));
  };
  if (name == "cross_entropy") {
    for (Index k = 0; k < y.rows(); ++k) loss += std::exp(value(k) - value(label));
    return std::log(loss);
  }
  REQUIRE(name == "squared_error");
  for (Index k = 0; k < y.rows(); ++k) {
    const long double off = value(k) - (k == label ? 1 : 0);
    loss += off * off;
  }
  return loss;
}

struct Case {
  Matrix y;
  std::vector<std::uint32_t> labels;
};

Case make_case(Index classes, std::uint64_t seed) {
  Case made{3 * normal(classes, 6, seed), {}};
  for (std::uint64_t n = 0; n < 6; ++n)
    made.labels.push_back(
        static_cast<std::uint32_t>(RandomStream(seed, 0, 1, Purpose::generated_data)
                                       .below(n, static_cast<std::uint64_t>(classes))));
  return made;
}

}  // namespace

TEST_CASE("every loss is its definition and its error the gradient") {
  for (const auto& entry : loss_table())
    for (const Index classes : {1, 2, 7, 10}) {
      CAPTURE(entry.name);
      CAPTURE(classes);
      const auto loss = entry.make();
      const Case c = make_case(classes, 5);
      std::vector<double> losses(6), up(6), down(6);
      Matrix error(classes, 6);
      loss->evaluate(c.y, onehot(c.labels, classes), losses, error);
      const Matrix zero = Matrix::Zero(classes, 6);
      for (Index n = 0; n < 6; ++n) {
        const auto at = static_cast<std::size_t>(n);
        CHECK(losses[at] == doctest::Approx(static_cast<double>(
                                                definition(entry.name, c.y, n, c.labels[at], zero)))
                                .epsilon(1e-12));
      }
      for (Index k = 0; k < classes; ++k) {
        const double h = 0x1p-14;
        Matrix d = zero;
        d.row(k).setConstant(s(h));
        loss->difference(c.y, d, onehot(c.labels, classes), up);
        loss->difference(c.y, -d, onehot(c.labels, classes), down);
        for (Index n = 0; n < 6; ++n) {
          const auto at = static_cast<std::size_t>(n);
          const double slope = (up[at] - down[at]) / (2 * h);  // error of size h²
          CHECK(std::abs(static_cast<double>(error(k, n)) - slope) <=
                h * h + 4 * epsilon * std::abs(slope) + 1e-12);
        }
      }
    }
}

TEST_CASE("every loss difference keeps its relative accuracy however small the change") {
  for (const auto& entry : loss_table())
    for (const double size : {1e-9, 1e-6, 1e-2, 1.0, 50.0}) {
      CAPTURE(entry.name);
      CAPTURE(size);
      const auto loss = entry.make();
      const Case c = make_case(5, 8);
      const Matrix d = s(size) * normal(5, 6, 9);
      std::vector<double> differences(6);
      loss->difference(c.y, d, onehot(c.labels, 5), differences);
      for (Index n = 0; n < 6; ++n) {
        const auto at = static_cast<std::size_t>(n);
        const long double before = definition(entry.name, c.y, n, c.labels[at], Matrix::Zero(5, 6));
        const long double expected = definition(entry.name, c.y, n, c.labels[at], d) - before;
        // 1e-18: what the reference loses in long double. 1e-14 size: terms of both signs cancel.
        CHECK(std::abs(static_cast<long double>(differences[at]) - expected) <=
              1e-13L * std::abs(expected) + 1e-18L * (1 + std::abs(before)) + 1e-14L * size);
      }
    }
}

TEST_CASE("cross-entropy is finite for scores that overflow an exponential") {
  const auto loss = find_entry(loss_table(), "cross_entropy")();
  Matrix y(3, 2);
  y << 2000, -2000, 0, 0, -2000, 2000;
  const std::vector<std::uint32_t> labels = {2, 2};
  std::vector<double> losses(2);
  Matrix error(3, 2);
  loss->evaluate(y, onehot(labels, 3), losses, error);
  CHECK(losses[0] == doctest::Approx(4000));
  CHECK(losses[1] == doctest::Approx(0));
  CHECK(error(0, 0) == 1);
  CHECK(error(2, 0) == -1);
  std::vector<double> differences(2);
  loss->difference(Matrix::Zero(3, 2), y, onehot(labels, 3), differences);
  CHECK(differences[0] == doctest::Approx(4000 - std::log(3.0)));
  CHECK(differences[1] == doctest::Approx(-std::log(3.0)));
}

TEST_CASE("errors of drawn targets have mean zero and the Fisher information as second moment") {
  for (const auto& entry : loss_table()) {
    CAPTURE(entry.name);
    const auto loss = entry.make();
    constexpr Index outputs = 4, draws = 40000;
    const Matrix y = normal(outputs, 1, 3);
    Matrix errors(outputs, draws);
    loss->sample_error(y.replicate(1, draws), RandomStream(7, 0, 1, Purpose::fisher_sample), 0,
                       errors);
    // F is also the Hessian of the loss in y, whatever the target: differences of its gradient.
    Eigen::MatrixXd hessian(outputs, outputs);
    const Matrix target = onehot(std::vector<std::uint32_t>{2}, outputs);
    for (Index k = 0; k < outputs; ++k) {
      const Scalar h = s(is_double ? 0x1p-16 : 0x1p-7);
      std::vector<double> losses(1);
      Matrix up(outputs, 1), down(outputs, 1), shifted = y;
      shifted(k, 0) += h;
      loss->evaluate(shifted, target, losses, up);
      shifted(k, 0) -= 2 * h;
      loss->evaluate(shifted, target, losses, down);
      hessian.col(k) = (up - down).cast<double>() / (2 * static_cast<double>(h));
    }
    const Eigen::MatrixXd e = errors.cast<double>();
    const double noise = 6 / std::sqrt(static_cast<double>(draws));  // six standard deviations
    CHECK(e.rowwise().mean().cwiseAbs().maxCoeff() < 2 * noise);
    CHECK((e * e.transpose() / draws - hessian).cwiseAbs().maxCoeff() < 3 * noise);
    if (loss->constant_fisher() > 0)
      CHECK(
          (hessian - loss->constant_fisher() * Eigen::MatrixXd::Identity(outputs, outputs)).norm() <
          1e-3);
    // A sample's draw does not depend on the samples beside it.
    Matrix later(outputs, 3);
    loss->sample_error(y.replicate(1, 3), RandomStream(7, 0, 1, Purpose::fisher_sample), 5, later);
    CHECK(later == errors.middleCols(5, 3));
  }
}

TEST_CASE("the Fisher basis of a loss has its constant Fisher information as second moment") {
  for (const auto& entry : loss_table()) {
    CAPTURE(entry.name);
    const double f = entry.make()->constant_fisher();
    Matrix errors = normal(3, 3, 1);
    fisher_basis(f, errors);
    CHECK(errors == static_cast<Scalar>(std::sqrt(f)) * Matrix::Identity(3, 3));
    CHECK(max_abs(errors * errors.transpose() - s(f) * Matrix::Identity(3, 3)) <= 4 * epsilon);
  }
}

TEST_CASE("a sample is correct where the largest output is that of the largest target") {
  Matrix y(3, 4);
  y << 1, -3, 0, 5,  //
      2, -1, 0, 5,   //
      0, -2, 0, 1;
  CHECK(count_correct(y, onehot(std::vector<std::uint32_t>{1, 1, 0, 0}, 3)) == 4);
  CHECK(count_correct(y, onehot(std::vector<std::uint32_t>{0, 1, 0, 1}, 3)) == 2);
  CHECK(count_correct(y, onehot(std::vector<std::uint32_t>{2, 2, 2, 2}, 3)) == 0);
  CHECK(count_correct(Matrix(3, 0), Matrix(3, 0)) == 0);
}

TEST_CASE("a linear teacher has entries of variance 1 / inputs, a pure function of its stream") {
  constexpr Index outputs = 50, inputs = 400;
  const RandomStream random(7, 0, 0, Purpose::teacher);
  const Matrix teacher = linear_teacher(outputs, inputs, random);
  REQUIRE(teacher.rows() == outputs);
  REQUIRE(teacher.cols() == inputs);
  const auto count = static_cast<double>(outputs * inputs);
  const double deviations = 6 / std::sqrt(count);  // six standard deviations of the mean
  const Eigen::MatrixXd scaled = std::sqrt(static_cast<double>(inputs)) * teacher.cast<double>();
  CHECK(std::abs(scaled.mean()) < deviations);
  CHECK(std::abs(scaled.squaredNorm() / count - 1) < std::sqrt(2.0) * deviations);
  CHECK(same_bits(teacher, linear_teacher(outputs, inputs, random)));
  CHECK_FALSE(
      same_bits(teacher, linear_teacher(outputs, inputs, RandomStream(8, 0, 0, Purpose::teacher))));
}
