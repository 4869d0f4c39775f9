// Built-in data without files: correlated normal numbers, in two classes.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/random.hpp"
#include "core/types.hpp"
#include "nodes/data/dataset.hpp"

namespace lateral::data_format {
namespace {

// Inputs of unit variance, <z_i z_j> = correlation^|i − j| (an autoregressive process), stored as
// bytes 127.5 + 40 z like an image of one row. The label is the sign of Σ_i (−1)^i z_i, which is a
// direction of small variance. Rounding to bytes adds 0.03 % of the variance. The inputs of the
// network are the rounded values, so that a network can represent a linear teacher of its inputs
// exactly.

constexpr double middle_byte = 127.5;
constexpr double contrast_bytes = 40.0;
constexpr std::uint64_t first_train_sample = std::uint64_t{1} << 24U;
constexpr std::uint64_t first_test_sample = std::uint64_t{2} << 24U;

Samples draw(std::uint64_t first, int count, const GeneratedParams& params) {
  Samples images;
  const double innovation = std::sqrt(1 - params.correlation * params.correlation);
  Matrix noise(params.inputs, 1);
  for (int n = 0; n < count; ++n) {
    RandomStream(params.seed, 0, first + static_cast<std::uint64_t>(n), Purpose::generated_data)
        .fill_normal(noise, 1);
    double z = 0, alternating = 0;
    for (int i = 0; i < params.inputs; ++i) {
      const auto fresh = static_cast<double>(noise(i, 0));
      z = i == 0 ? fresh : params.correlation * z + innovation * fresh;
      const double byte = std::clamp(std::round(middle_byte + contrast_bytes * z), 0.0, 255.0);
      images.pixels.push_back(static_cast<std::uint8_t>(byte));
      alternating += i % 2 == 0 ? z : -z;
    }
    images.labels.push_back(alternating > 0 ? 1 : 0);
  }
  return images;
}

class Gaussian final : public DataFormat {
 public:
  DataDescription describe(const DataParams& all) const override {
    const GeneratedParams& params = all.generated;
    return {{.channels = 1, .height = 1, .width = params.inputs, .classes = 2},
            static_cast<std::size_t>(params.train_samples),
            static_cast<std::size_t>(params.test_samples),
            {}};
  }
  DataSet load(const DataParams& all) const override {
    const GeneratedParams& params = all.generated;
    return {.shape = describe(all).shape,
            .mean = {middle_byte / 255.0},
            .standard_deviation = {contrast_bytes / 255.0},
            .train = draw(first_train_sample, params.train_samples, params),
            .test = draw(first_test_sample, params.test_samples, params)};
  }
};

}  // namespace

std::unique_ptr<DataFormat> gaussian() { return std::make_unique<Gaussian>(); }

}  // namespace lateral::data_format
