// NumberedArray: an array of known values that counts how it is read.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "nodes/data/sample_array.hpp"

namespace lateral::testing {

/// Row r has the values 100 r, 100 r + 1, …; its label is the text of r mod 3.
class NumberedArray final : public SampleArray {
 public:
  explicit NumberedArray(std::vector<std::size_t> shape, ElementKind kind = ElementKind::real)
      : shape_{std::move(shape)}, kind_{kind} {}
  const std::vector<std::size_t>& shape() const override { return shape_; }
  ElementKind kind() const override { return kind_; }
  const std::string& origin() const override { return origin_; }
  void read(std::size_t first, std::size_t count, float* out) const override {
    ++reads;
    rows_read += count;
    for (std::size_t row = first; row < first + count; ++row)
      for (std::size_t i = 0; i < row_values(); ++i) *out++ = static_cast<float>(100 * row + i);
  }
  std::vector<std::string> read_labels(std::size_t first, std::size_t count) const override {
    std::vector<std::string> labels;
    for (std::size_t row = first; row < first + count; ++row)
      labels.push_back(std::to_string(row % 3));
    return labels;
  }

  mutable std::size_t reads = 0, rows_read = 0;

 private:
  std::vector<std::size_t> shape_;
  ElementKind kind_;
  std::string origin_ = "numbered";
};

}  // namespace lateral::testing
