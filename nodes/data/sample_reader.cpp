// Reading rows by runs, and windows of an order.
#include "nodes/data/sample_reader.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/check.hpp"

namespace lateral {
namespace {

constexpr std::size_t piece_bytes = std::size_t{4} << 20U;  // of one read
constexpr std::size_t gap_rows_max = 16;                    // that are read and dropped

/// Rows that fit into one read.
std::size_t rows_of_piece(const SampleArray& array) {
  return std::max<std::size_t>(1, piece_bytes / (array.row_values() * sizeof(float)));
}

/// A copy of an array.
template <class T>
class MemoryArray final : public SampleArray {
 public:
  explicit MemoryArray(const SampleArray& array)
      : shape_{array.shape()},
        kind_{array.kind()},
        origin_{array.origin()},
        values_(array.samples() * array.row_values()) {
    const std::size_t piece = rows_of_piece(array);
    std::vector<float> numbers(piece * array.row_values());
    for (std::size_t first = 0; first < array.samples(); first += piece) {
      const std::size_t count = std::min(piece, array.samples() - first);
      array.read(first, count, numbers.data());
      std::transform(numbers.begin(),
                     numbers.begin() + static_cast<std::ptrdiff_t>(count * array.row_values()),
                     values_.begin() + static_cast<std::ptrdiff_t>(first * array.row_values()),
                     [](float number) { return static_cast<T>(number); });
    }
  }

  const std::vector<std::size_t>& shape() const override { return shape_; }
  ElementKind kind() const override { return kind_; }
  const std::string& origin() const override { return origin_; }
  void read(std::size_t first, std::size_t count, float* out) const override {
    std::copy_n(values_.begin() + static_cast<std::ptrdiff_t>(first * row_values()),
                count * row_values(), out);
  }
  std::vector<std::string> read_labels(std::size_t, std::size_t) const override {
    LATERAL_CHECK(false);  // labels are read from the file
    return {};
  }

 private:
  std::vector<std::size_t> shape_;
  ElementKind kind_;
  std::string origin_;
  std::vector<T> values_;
};

}  // namespace

void read_rows(const SampleArray& array, std::span<const std::uint32_t> rows, float* out) {
  const std::size_t row_values = array.row_values();
  const std::size_t run_max = rows_of_piece(array);
  std::vector<std::size_t> places(rows.size());  // of `rows`, by ascending row
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::sort(places.begin(), places.end(),
            [&](std::size_t a, std::size_t b) { return rows[a] < rows[b]; });
  std::vector<float> run;
  for (std::size_t begin = 0; begin < places.size();) {
    const std::size_t first = rows[places[begin]];
    std::size_t end = begin + 1;
    while (end < places.size() && rows[places[end]] - rows[places[end - 1]] <= gap_rows_max &&
           rows[places[end]] - first < run_max)
      ++end;
    const std::size_t count = rows[places[end - 1]] - first + 1;
    run.resize(count * row_values);
    array.read(first, count, run.data());
    for (std::size_t i = begin; i < end; ++i)
      std::copy_n(run.begin() + static_cast<std::ptrdiff_t>((rows[places[i]] - first) * row_values),
                  row_values, out + places[i] * row_values);
    begin = end;
  }
}

std::shared_ptr<const SampleArray> read_into_memory(const SampleArray& array) {
  if (array.kind() == ElementKind::unsigned_byte)
    return std::make_shared<MemoryArray<std::uint8_t>>(array);
  return std::make_shared<MemoryArray<float>>(array);
}

SampleReader::SampleReader(const Samples& samples, std::size_t buffer_samples)
    : samples_{samples},
      window_samples_{buffer_samples == 0 ? 0 : window_samples(buffer_samples)},
      row_values_{samples.array->row_values()} {
  if (window_samples_ == 0) sample_.resize(row_values_);
}

const float* SampleReader::read(const Positions& order, std::uint64_t order_id, std::size_t place) {
  if (window_samples_ == 0) {
    samples_.array->read(samples_.rows[order[place]], 1, sample_.data());
    return sample_.data();
  }
  const std::size_t number = place / window_samples_;
  const auto is_wanted = [&](const Window& window) {
    return window.is_filled && window.order_id == order_id && window.number == number;
  };
  if (!is_wanted(windows_[0])) std::swap(windows_[0], windows_[1]);
  Window& window = windows_[0];
  if (!is_wanted(window)) {
    window.is_filled = false;
    window.order_id = order_id;
    window.number = number;
    fill(window, order);
    window.is_filled = true;
  }
  return window.values.data() + place % window_samples_ * row_values_;
}

void SampleReader::fill(Window& window, const Positions& order) {
  const std::size_t begin = window.number * window_samples_;
  const std::size_t count = std::min(window_samples_, order.size() - begin);
  Positions rows(count);
  for (std::size_t i = 0; i < count; ++i) rows[i] = samples_.rows[order[begin + i]];
  window.values.resize(count * row_values_);
  read_rows(*samples_.array, rows, window.values.data());
}

}  // namespace lateral
