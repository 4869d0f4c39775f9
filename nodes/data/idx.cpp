// The IDX container of MNIST: a header of dimensions, then unsigned bytes.
#include "nodes/data/idx.hpp"

#include <fmt/format.h>

#include <limits>
#include <string>

#include "nodes/base/digest.hpp"
#include "nodes/data/files.hpp"

namespace lateral {
namespace {

constexpr std::size_t magic_bytes = 4;
constexpr std::size_t dimension_bytes = 4;
constexpr std::uint8_t type_unsigned_byte = 0x08;

std::string hex_of(std::span<const std::uint8_t> bytes) {
  return fmt::format("0x{}", to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
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
    refuse_data(file, 2, fmt::format("IDX type {}", hex_of(bytes.subspan(2, 1))),
                "0x08 (unsigned byte)");
  const std::size_t n_dimensions = bytes[3];
  if (n_dimensions == 0 || n_dimensions > idx_dimensions_max)
    refuse_data(file, 3, fmt::format("{} dimensions", n_dimensions),
                fmt::format("1 to {}", idx_dimensions_max));

  IdxArray array;
  array.values_offset = magic_bytes + n_dimensions * dimension_bytes;
  if (bytes.size() < array.values_offset)
    refuse_data(
        file, bytes.size(), "the end of the file",
        fmt::format("{} dimensions up to byte {} (truncated)", n_dimensions, array.values_offset));

  std::size_t n_values = 1;
  for (std::size_t d = 0; d < n_dimensions; ++d) {
    const std::size_t offset = magic_bytes + d * dimension_bytes;
    const std::size_t dimension = big_endian_32(bytes.subspan(offset, dimension_bytes));
    // The product could exceed 64 bits; such a header is refused before they are multiplied.
    if (dimension != 0 && n_values > std::numeric_limits<std::size_t>::max() / 2 / dimension)
      refuse_data(file, offset, fmt::format("dimension {}", dimension),
                  "dimensions whose product is a possible file size");
    n_values *= dimension;
    array.dimensions.push_back(dimension);
  }

  const std::size_t length = array.values_offset + n_values;
  if (bytes.size() < length)
    refuse_data(file, bytes.size(), "the end of the file",
                fmt::format("{} bytes as in the header (truncated)", length));
  if (bytes.size() > length)
    refuse_data(
        file, length, fmt::format("{} more bytes", bytes.size() - length),
        fmt::format("the end of the file after the {} bytes of the header's dimensions (oversized)",
                    length));
  array.values = bytes.subspan(array.values_offset);
  return array;
}

}  // namespace lateral
