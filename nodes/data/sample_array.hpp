// SampleArray: an array in a user's file, one row a sample, read by pieces.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/types.hpp"

namespace lateral {

/// The kind of the values in a file. Whole numbers and real numbers can be inputs, targets and
/// labels; text can only be labels.
enum class ElementKind { unsigned_byte, integer, real, text };

/// One array of a file. Files are checked when they are opened; values when they are read.
/// One thread at a time.
class SampleArray {
 public:
  virtual ~SampleArray() = default;
  /// (samples, …): the first dimension counts samples; (samples) means one value a sample.
  virtual const std::vector<std::size_t>& shape() const = 0;
  virtual ElementKind kind() const = 0;
  /// Names the array in messages: "a.npz: x".
  virtual const std::string& origin() const = 0;
  /// Rows first … first + count - 1 in row-major order (last dimension fastest), whatever the order
  /// in the file; count · row_values() numbers, converted to float32. Throws UserError that names
  /// origin, row and column (both from 0) for a value that is missing, not finite or not a number.
  virtual void read(std::size_t first, std::size_t count, float* out) const = 0;
  /// The same rows of an array with one value a sample, as the text of a label: whole numbers in
  /// decimal ("7", "-1"; a real number must be whole), text as it is. Throws UserError as read().
  virtual std::vector<std::string> read_labels(std::size_t first, std::size_t count) const = 0;

  /// Names of the values of a row, for files that have such names; otherwise empty.
  virtual std::vector<std::string> value_names() const { return {}; }
  /// Bytes that a value takes when the array is in memory.
  virtual std::size_t value_bytes() const {
    return kind() == ElementKind::unsigned_byte ? 1 : sizeof(float);
  }

  std::size_t samples() const { return shape().front(); }
  /// Values of one row: the product of the dimensions after the first.
  std::size_t row_values() const {
    std::size_t values = 1;
    for (std::size_t d = 1; d < shape().size(); ++d) values *= shape()[d];
    return values;
  }
};

}  // namespace lateral
