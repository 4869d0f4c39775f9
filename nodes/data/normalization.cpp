// Mean and standard deviation of training samples.
#include "nodes/data/normalization.hpp"

#include <cmath>

#include "core/check.hpp"

namespace lateral {
namespace {

/// Mean and sum of squared deviations of a stream of numbers. Source: Welford, "Note on a method
/// for calculating corrected sums of squares and products" (Technometrics 1962).
struct Moments {
  double n = 0, mean = 0, squares = 0;
  void add(double value) {
    n += 1;
    const double deviation = value - mean;
    mean += deviation / n;
    squares += deviation * (value - mean);
  }
};

}  // namespace

Normalization normalization_of(SampleReader& reader, const Positions& positions,
                               const ImageShape& shape, Normalize normalize) {
  constexpr std::uint64_t order_id = 0;  // Batches numbers its own from 1
  LATERAL_CHECK(normalize == Normalize::feature || normalize == Normalize::channel);
  const auto values = static_cast<std::size_t>(shape.pixels());
  const std::size_t values_each =  // of one constant
      normalize == Normalize::feature ? 1 : values / static_cast<std::size_t>(shape.channels);
  std::vector<Moments> moments(values / values_each);
  for (std::size_t place = 0; place < positions.size(); ++place) {
    const float* sample = reader.read(positions, order_id, place);
    for (std::size_t i = 0; i < values; ++i)
      moments[i / values_each].add(static_cast<double>(sample[i]));
  }
  Normalization normalization;
  for (const Moments& of : moments) {
    const auto deviation = static_cast<float>(std::sqrt(of.squares / of.n));
    normalization.mean.push_back(static_cast<float>(of.mean));
    normalization.standard_deviation.push_back(deviation > 0 ? deviation : 1.0F);
  }
  return normalization;
}

}  // namespace lateral
