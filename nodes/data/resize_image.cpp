// Resizing in two passes: along the rows, then along the columns.
#include "nodes/data/resize_image.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/check.hpp"

namespace lateral {
namespace {

/// Weights are integers in units of 2^-22. A weighted sum of bytes then fits in 31 bits.
constexpr unsigned weight_bits = 22;

/// The pixels that one pixel of the result is a weighted mean of.
struct Window {
  std::size_t first = 0;              // position of the first
  std::vector<std::int32_t> weights;  // sum to about 2^weight_bits
};

/// The window of pixel `position` of a line of `from` pixels that is resized to `to` pixels.
Window window_of(std::size_t position, std::size_t from, std::size_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double radius = std::max(scale, 1.0);
  const double center = (static_cast<double>(position) + 0.5) * scale;
  const double last = static_cast<double>(from);
  const auto begin = static_cast<std::size_t>(std::max(std::floor(center - radius), 0.0));
  const auto end = static_cast<std::size_t>(std::min(std::ceil(center + radius), last));

  std::vector<double> heights;
  double sum = 0;
  for (std::size_t i = begin; i < end; ++i) {
    const double distance = std::abs(static_cast<double>(i) + 0.5 - center) / radius;
    heights.push_back(std::max(1.0 - distance, 0.0));
    sum += heights.back();
  }
  Window window{begin, {}};
  for (const double height : heights)
    window.weights.push_back(
        static_cast<std::int32_t>(std::lround(height / sum * double{1U << weight_bits})));
  return window;
}

/// Windows of the middle `size` of `to` pixels.
std::vector<Window> middle_windows(std::size_t from, std::size_t to, std::size_t size) {
  std::vector<Window> windows;
  const std::size_t first = (to - size) / 2;
  for (std::size_t i = 0; i < size; ++i) windows.push_back(window_of(first + i, from, to));
  return windows;
}

/// The weighted mean of pixels that are `stride` apart; `line` is the pixel at position 0.
std::uint8_t weighted_mean(const std::uint8_t* line, std::size_t stride, const Window& window) {
  std::int32_t sum = std::int32_t{1} << (weight_bits - 1);  // rounds to nearest
  const std::uint8_t* pixel = line + window.first * stride;
  for (const std::int32_t weight : window.weights) {
    sum += weight * *pixel;
    pixel += stride;
  }
  return static_cast<std::uint8_t>(std::min(sum >> weight_bits, 255));
}

}  // namespace

Image resize_and_crop(const Image& image, int size) {
  LATERAL_CHECK(size >= 1);
  LATERAL_CHECK(size <= resized_side_max);
  LATERAL_CHECK(image.height >= 1);
  LATERAL_CHECK(image.width >= 1);
  if (image.height == size && image.width == size) return image;
  const auto side = static_cast<std::size_t>(size);
  const auto height = static_cast<std::size_t>(image.height);
  const auto width = static_cast<std::size_t>(image.width);
  const auto channels = static_cast<std::size_t>(image.channels);
  const std::size_t shorter = std::min(height, width);
  const std::vector<Window> columns = middle_windows(width, width * side / shorter, side);
  std::vector<Window> rows = middle_windows(height, height * side / shorter, side);

  // Only the rows that the result depends on.
  const std::size_t first_row = rows.front().first;
  const std::size_t end_row = rows.back().first + rows.back().weights.size();
  for (Window& window : rows) window.first -= first_row;
  std::vector<std::uint8_t> narrow((end_row - first_row) * side);
  Image result{image.channels, size, size, std::vector<std::uint8_t>(channels * side * side)};
  for (std::size_t c = 0; c < channels; ++c) {
    const std::uint8_t* plane = image.pixels.data() + c * height * width;
    for (std::size_t y = first_row; y < end_row; ++y)
      for (std::size_t x = 0; x < side; ++x)
        narrow[(y - first_row) * side + x] = weighted_mean(plane + y * width, 1, columns[x]);
    std::uint8_t* out = result.pixels.data() + c * side * side;
    for (std::size_t y = 0; y < side; ++y)
      for (std::size_t x = 0; x < side; ++x)
        out[y * side + x] = weighted_mean(narrow.data() + x, side, rows[y]);
  }
  return result;
}

}  // namespace lateral
