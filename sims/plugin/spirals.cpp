// Data of a plug-in: points in the plane on two spirals, one for each class.
#include <cmath>
#include <numbers>

#include "core/plugin.hpp"
#include "core/random.hpp"
#include "nodes/data/dataset.hpp"

namespace lateral::data_format {
namespace {

constexpr double turns = 0.75;
constexpr double noise = 0.05;
constexpr std::uint32_t n_train = 2000, n_test = 500;

/// The points in memory, a sample a row.
class Points final : public SampleArray {
 public:
  Points(std::size_t n, std::vector<float> values) : shape_{n, 2}, values_{std::move(values)} {}
  const std::vector<std::size_t>& shape() const override { return shape_; }
  ElementKind kind() const override { return ElementKind::real; }
  const std::string& origin() const override { return origin_; }
  void read(std::size_t first, std::size_t count, float* out) const override {
    for (std::size_t i = 2 * first; i < 2 * (first + count); ++i) *out++ = values_[i];
  }
  std::vector<std::string> read_labels(std::size_t, std::size_t) const override { return {}; }

 private:
  std::vector<std::size_t> shape_;
  std::vector<float> values_;
  std::string origin_ = "spirals";
};

/// Sample i is of class i mod 2: r (cos φ, sin φ) with r = U(0, 1) and φ = 2π turns r + π class.
///   step: of the random stream
Samples draw(std::uint64_t seed, std::uint64_t step, std::uint32_t n) {
  const RandomStream random(seed, 0, step, Purpose::generated_data);
  Samples samples;
  std::vector<float> values;
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint64_t first = std::uint64_t{3} * i;
    const double radius = random.uniform(first);
    const double angle = std::numbers::pi * (2 * turns * radius + i % 2);
    values.push_back(
        static_cast<float>(radius * std::cos(angle) + noise * random.uniform(first + 1)));
    values.push_back(
        static_cast<float>(radius * std::sin(angle) + noise * random.uniform(first + 2)));
    samples.labels.push_back(i % 2);
    samples.rows.push_back(i);
  }
  samples.array = std::make_shared<Points>(n, std::move(values));
  return samples;
}

class Spirals final : public DataFormat {
 public:
  DataDescription describe(const DataParams&) const override {
    return {{.channels = 1, .height = 1, .width = 2, .classes = 2}, n_train, n_test, {}};
  }
  DataSet load(const DataParams& params) const override {
    DataSet data;
    data.shape = describe(params).shape;
    data.train = draw(params.seed, 0, n_train);
    data.test = draw(params.seed, 1, n_test);
    return data;
  }
};

std::unique_ptr<DataFormat> spirals() { return std::make_unique<Spirals>(); }

}  // namespace
}  // namespace lateral::data_format

LATERAL_PLUGIN({"spirals", lateral::data_format::spirals})
