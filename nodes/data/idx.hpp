// The IDX container of MNIST: a header of dimensions, then unsigned bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lateral {

/// Layout of a file: two zero bytes, the type (8 = unsigned byte), the number of dimensions,
/// each dimension as a big-endian 32-bit integer, then the values, the last dimension fastest.
struct IdxArray {
  std::vector<std::size_t> dimensions;
  std::span<const std::uint8_t> values;  ///< points into the bytes that were parsed
  std::size_t values_offset = 0;         ///< where they start in the file
};

/// The largest number of dimensions that parse_idx accepts; MNIST needs 3.
constexpr std::size_t idx_dimensions_max = 4;

/// A pure function of the bytes, which must outlive the result; `file` only names them in
/// messages. Throws UserError unless the length matches the header exactly.
IdxArray parse_idx(std::span<const std::uint8_t> bytes, std::string_view file);

}  // namespace lateral
