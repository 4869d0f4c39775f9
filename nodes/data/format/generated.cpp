// Built-in data without files: weak class patterns under a background like that of natural images.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <vector>

#include "core/random.hpp"
#include "core/types.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/data/dataset.hpp"

namespace lateral::data_format {
namespace {

// An image is  127.5 + contrast · (noise · background + strength · pattern) / √(noise² + 1),
// background and pattern of unit variance. The background's amplitude spectrum falls as
// frequency^-slope, the pattern's is flat: classes differ mostly in directions of small variance,
// which gradient descent learns slowly, and fast if its inputs are decorrelated. Each class has
// several patterns, of which a sample contains one.
//
// Test accuracy in % after epochs 1, 3 and 5 with the default parameters (576-256-256-10, leaky
// ReLU, Adam 1e-3, batches of 256; a NumPy model of the experiment, so other seeds differ
// slightly):
//   backpropagation                                     26  77  86
//   feedback alignment                                  12  34  75
//   feedback alignment, decorrelation (rate 1e-3)       20  89  92
//   feedback alignment, decorrelation (rate 1e-2)       62  88  88

constexpr int n_classes = 10;
constexpr int patterns_per_class = 2;
constexpr double slope = 1.5;
constexpr double strength_min = 0.5;  // strength is uniform between them; their mean is 1
constexpr double strength_max = 1.5;
constexpr double middle_byte = 127.5;
constexpr double contrast_bytes = 40.0;  // standard deviation of a pixel; some 0.2 % are clipped
constexpr int size_min = 4;
constexpr int size_max = 256;
constexpr int samples_max = 1'000'000;
constexpr double noise_max = 1e6;

// Steps of the random stream. A sample does not depend on the number of samples.
constexpr std::uint64_t first_pattern = 0;
constexpr std::uint64_t first_train_sample = std::uint64_t{1} << 24U;
constexpr std::uint64_t first_test_sample = std::uint64_t{2} << 24U;

RandomStream stream(std::uint64_t seed, std::uint64_t step) {
  return {seed, 0, step, Purpose::generated_data};
}

/// Draws periodic Gaussian fields of unit variance with a given spectrum.
/// field = H (A ∘ g) H, H(x, u) = cos(2πux/n) + sin(2πux/n) (Hartley), A(u, v) the amplitude and
/// g white. A depends on |u| and |v| only, so the field is stationary.
/// Plain loops in double: the bytes must not depend on how a library orders its sums.
class Synthesis {
 public:
  Synthesis(int size, double falling)
      : n_(static_cast<std::size_t>(size)), basis_(n_ * n_), amplitude_(n_ * n_), rows_(n_ * n_) {
    double power = 0;
    for (std::size_t u = 0; u < n_; ++u)
      for (std::size_t v = 0; v < n_; ++v) {
        const double angle = 2 * std::numbers::pi * static_cast<double>(u * v % n_) / size;
        basis_[u * n_ + v] = std::cos(angle) + std::sin(angle);
        const auto fu = static_cast<double>(std::min(u, n_ - u));
        const auto fv = static_cast<double>(std::min(v, n_ - v));
        // The mean brightness has frequency 0; it has the amplitude of the lowest other frequency.
        const double frequency = std::max(1.0, std::sqrt(fu * fu + fv * fv));
        const double amplitude = std::pow(frequency, -falling);
        amplitude_[u * n_ + v] = amplitude;
        power += amplitude * amplitude;
      }
    for (double& amplitude : amplitude_) amplitude /= std::sqrt(power);
  }

  /// `white`: n × n standard normal numbers; `field`: the n × n result, row by row.
  void draw(const Matrix& white, std::vector<double>& field) {
    multiply_into(rows_, [&](std::size_t u, std::size_t v) {
      return amplitude_[u * n_ + v] *
             static_cast<double>(white(static_cast<Index>(v), static_cast<Index>(u)));
    });
    // rows_ is now (A ∘ g) H; H is symmetric, so the columns are rows of the transpose.
    multiply_into(field, [&](std::size_t x, std::size_t u) { return rows_[u * n_ + x]; });
  }

 private:
  /// out(i, k) = Σ_j element(i, j) H(j, k)
  template <class Element>
  void multiply_into(std::vector<double>& out, Element element) const {
    out.assign(n_ * n_, 0.0);
    for (std::size_t i = 0; i < n_; ++i)
      for (std::size_t j = 0; j < n_; ++j) {
        const double factor = element(i, j);
        for (std::size_t k = 0; k < n_; ++k) out[i * n_ + k] += factor * basis_[j * n_ + k];
      }
  }

  std::size_t n_;
  std::vector<double> basis_, amplitude_, rows_;
};

std::uint8_t to_byte(double value) {
  return static_cast<std::uint8_t>(std::lround(std::min(255.0, std::max(0.0, value))));
}

class Generator {
 public:
  explicit Generator(const GeneratedParams& params)
      : params_(params),
        background_(params.size, slope),
        white_(params.size, params.size),
        field_(static_cast<std::size_t>(white_.size())) {
    Synthesis flat(params.size, 0.0);
    for (std::uint64_t p = 0; p < n_classes * patterns_per_class; ++p) {
      stream(params.seed, first_pattern + p).fill_normal(white_, 1.0);
      flat.draw(white_, field_);
      patterns_.push_back(unit_variance(field_));
    }
  }

  /// Sample i is of class i mod 10, so that every stretch of the file is balanced.
  Samples images(int count, std::uint64_t first_step) {
    Samples images;
    images.pixels.reserve(static_cast<std::size_t>(count) * field_.size());
    for (int i = 0; i < count; ++i)
      append(i % n_classes, first_step + static_cast<std::uint64_t>(i), images);
    return images;
  }

 private:
  /// Normalises a field: the mean and variance of small fields vary, and classes must not differ in
  /// brightness or contrast.
  static std::vector<double> unit_variance(std::vector<double> field) {
    const auto n = static_cast<double>(field.size());
    double sum = 0;
    for (const double value : field) sum += value;
    double squares = 0;
    for (double& value : field) {
      value -= sum / n;
      squares += value * value;
    }
    for (double& value : field) value /= std::sqrt(squares / n);
    return field;
  }

  void append(int label, std::uint64_t step, Samples& images) {
    const RandomStream random = stream(params_.seed, step);
    random.fill_normal(white_, 1.0);
    background_.draw(white_, field_);
    // The next elements of the stream after those used for the normal numbers.
    const std::uint64_t next = std::uint64_t{4} * field_.size();
    const std::uint64_t pattern_index = random.below(next, patterns_per_class);
    const double strength = strength_min + (strength_max - strength_min) * random.uniform(next + 1);
    const std::vector<double>& pattern =
        patterns_[static_cast<std::size_t>(label) * patterns_per_class + pattern_index];
    const double scale = contrast_bytes / std::sqrt(params_.noise * params_.noise + 1.0);
    for (std::size_t i = 0; i < field_.size(); ++i)
      images.pixels.push_back(
          to_byte(middle_byte + scale * (params_.noise * field_[i] + strength * pattern[i])));
    images.labels.push_back(static_cast<std::uint32_t>(label));
  }

  GeneratedParams params_;
  Synthesis background_;
  Matrix white_;
  std::vector<double> field_;
  std::vector<std::vector<double>> patterns_;  // class by class
};

void expect_between(const char* field, double value, double low, double high) {
  if (value >= low && value <= high) return;  // false for NaN too
  throw UserError(
      fmt::format("generated data: {}: found {}, expected {} to {}", field, value, low, high));
}

class Generated final : public DataFormat {
 public:
  DataDescription describe(const DataParams& all) const override {
    const GeneratedParams& params = all.generated;
    return {{1, params.size, params.size, n_classes},
            static_cast<std::size_t>(params.train_samples),
            static_cast<std::size_t>(params.test_samples),
            {}};
  }

  DataSet load(const DataParams& all) const override {
    const GeneratedParams& params = all.generated;
    expect_between("size", params.size, size_min, size_max);
    expect_between("train_samples", params.train_samples, 1, samples_max);
    expect_between("test_samples", params.test_samples, 1, samples_max);
    expect_between("noise", params.noise, 0, noise_max);
    Generator generator(params);
    return {describe(all).shape,
            {middle_byte / 255.0},
            {contrast_bytes / 255.0},
            generator.images(params.train_samples, first_train_sample),
            generator.images(params.test_samples, first_test_sample)};
  }
};

}  // namespace

std::unique_ptr<DataFormat> generated() { return std::make_unique<Generated>(); }

}  // namespace lateral::data_format
