// The IDX container of MNIST: a header of dimensions, then unsigned bytes.
#include "nodes/data/idx.hpp"

#include <limits>
#include <string>

#include "nodes/data/files.hpp"

namespace lateral {
namespace {

constexpr std::size_t magic_bytes = 4;
constexpr std::size_t dimension_bytes = 4;
constexpr std::uint8_t type_unsigned_byte = 0x08;

std::string hex_of(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "0x";
  for (const std::uint8_t byte : bytes) {
    text += digits[byte >> 4U];
    text += digits[byte & 15U];
  }
  return text;
}

std::size_t big_endian_32(std::span<const std::uint8_t> bytes) {
  return (std::size_t{bytes[0]} << 24U) | (std::size_t{bytes[1]} << 16U) |
         (std::size_t{bytes[2]} << 8U) | std::size_t{bytes[3]};
}

}  // namespace

IdxArray parse_idx(std::span<const std::uint8_t> bytes, std::string_view file) {
  static_assert(sizeof(std::size_t) >= 8, "a dimension of 32 bits must fit with room to multiply");
  if (bytes.size() < magic_bytes)
    refuse_data(file, bytes.size(), "the end of the file", "an IDX header (truncated)");
  if (bytes[0] != 0 || bytes[1] != 0)
    refuse_data(file, 0, hex_of(bytes.first(magic_bytes)), "the IDX magic number 0x000008..");
  if (bytes[2] != type_unsigned_byte)
    refuse_data(file, 2, "IDX type " + hex_of(bytes.subspan(2, 1)), "0x08 (unsigned byte)");
  const std::size_t n_dimensions = bytes[3];
  if (n_dimensions == 0 || n_dimensions > idx_dimensions_max)
    refuse_data(file, 3, std::to_string(n_dimensions) + " dimensions",
                "1 to " + std::to_string(idx_dimensions_max));

  IdxArray array;
  array.values_offset = magic_bytes + n_dimensions * dimension_bytes;
  if (bytes.size() < array.values_offset)
    refuse_data(file, bytes.size(), "the end of the file",
                std::to_string(n_dimensions) + " dimensions up to byte " +
                    std::to_string(array.values_offset) + " (truncated)");

  std::size_t n_values = 1;
  for (std::size_t d = 0; d < n_dimensions; ++d) {
    const std::size_t offset = magic_bytes + d * dimension_bytes;
    const std::size_t dimension = big_endian_32(bytes.subspan(offset, dimension_bytes));
    // The product could exceed 64 bits; a header that lies so is refused before it is used.
    if (dimension != 0 && n_values > std::numeric_limits<std::size_t>::max() / 2 / dimension)
      refuse_data(file, offset, "dimension " + std::to_string(dimension),
                  "sizes whose product a file can hold");
    n_values *= dimension;
    array.dimensions.push_back(dimension);
  }

  const std::size_t length = array.values_offset + n_values;
  if (bytes.size() < length)
    refuse_data(file, bytes.size(), "the end of the file",
                std::to_string(length) + " bytes as the header says (truncated)");
  if (bytes.size() > length)
    refuse_data(file, length, std::to_string(bytes.size() - length) + " more bytes",
                "the end of the file after the " + std::to_string(length) +
                    " bytes that the header says (oversized)");
  array.values = bytes.subspan(array.values_offset);
  return array;
}

}  // namespace lateral
