// Activations: what every one of them promises, and the values of each.
#include "core/activation/activation.hpp"

#include <map>

#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

namespace {

using Function = long double (*)(long double);
const std::map<std::string_view, Function> definitions = {
    {"identity", [](long double a) { return a; }},
    {"relu", [](long double a) { return a > 0 ? a : 0; }},
    {"leaky_relu", [](long double a) { return a > 0 ? a : 0.01L * a; }},
    {"tanh", [](long double a) { return std::tanh(a); }},
};

Matrix pre_activations() {
  Matrix a = 2 * normal(7, 9, 1);
  a(0, 0) = 0;
  a(1, 0) = s(1e-7);
  a(2, 0) = s(-1e-7);
  a(3, 0) = 8;
  a(4, 0) = -8;
  return a;
}

}  // namespace

TEST_CASE("every activation is the function of its name") {
  for (const auto& entry : activation_table()) {
    CAPTURE(entry.name);
    REQUIRE(definitions.contains(entry.name));
    const Function f = definitions.at(entry.name);
    const auto activation = entry.make();
    const Matrix a = pre_activations();
    Matrix y(a.rows(), a.cols());
    activation->apply(a, y);
    for (Index i = 0; i < a.size(); ++i) {
      const long double expected = f(static_cast<long double>(a.data()[i]));
      CHECK(std::abs(static_cast<long double>(y.data()[i]) - expected) <=
            4 * epsilon * std::abs(expected));
    }
    Matrix in_place = a;
    activation->apply(in_place, in_place);
    CHECK(same_bits(in_place, y));
  }
}

TEST_CASE("every slope is the derivative, from below at a kink") {
  for (const auto& entry : activation_table()) {
    CAPTURE(entry.name);
    const Function f = definitions.at(entry.name);
    const auto activation = entry.make();
    const Matrix a = pre_activations();
    Matrix slope(a.rows(), a.cols());
    activation->slope(a, slope);
    for (Index i = 0; i < a.size(); ++i) {
      const auto at = static_cast<long double>(a.data()[i]);
      const long double h = 1e-9L;  // one-sided: error of size h and of epsilon / h
      const long double expected = (f(at) - f(at - h)) / h;
      CAPTURE(a.data()[i]);
      CHECK(std::abs(static_cast<long double>(slope.data()[i]) - expected) <= 1e-8L + 8 * epsilon);
    }
  }
}

TEST_CASE("every difference keeps its relative accuracy however small the change") {
  for (const auto& entry : activation_table()) {
    const Function f = definitions.at(entry.name);
    const auto activation = entry.make();
    const Matrix a = pre_activations();
    for (const double size : {1e-6, 1e-3, 1.0, 30.0}) {
      CAPTURE(entry.name);
      CAPTURE(size);
      const Matrix d = s(size) * normal(a.rows(), a.cols(), 2);
      Matrix dy(a.rows(), a.cols());
      activation->difference(a, d, dy);
      for (Index i = 0; i < a.size(); ++i) {
        CAPTURE(a.data()[i]);
        const auto at = static_cast<long double>(a.data()[i]);
        const auto by = static_cast<long double>(d.data()[i]);
        const long double expected = f(at + by) - f(at);
        // What rounding a + d does to f, and what the reference itself loses.
        const long double allowed =
            16 * epsilon * (1 + std::abs(at)) * std::abs(expected) +
            4 * std::numeric_limits<long double>::epsilon() * (std::abs(f(at)) + std::abs(by)) +
            (std::abs(by) >= 8 || std::abs(at) < 1e-6L ? 4 * epsilon * std::abs(by) : 0);
        CHECK(std::abs(static_cast<long double>(dy.data()[i]) - expected) <= allowed);
      }
    }
  }
}
