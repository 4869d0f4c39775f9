// NPY: an array as NumPy's save() writes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nodes/data/reader/element.hpp"
#include "nodes/data/sample_array.hpp"

namespace lateral {

/// The text of a header describes type, order and shape; NumPy itself reads at most 10 000 bytes.
constexpr std::size_t npy_header_text_max = std::size_t{1} << 16;
/// Everything before the values: magic number, version, length and the text.
constexpr std::size_t npy_header_bytes_max = npy_header_text_max + 12;
/// As in NumPy.
constexpr std::size_t npy_dimensions_max = 32;

struct NpyHeader {
  ElementType type;
  bool fortran_order = false;  ///< the first dimension is the fastest
  std::vector<std::size_t> shape;
  std::size_t values_offset = 0;
};

/// A pure function of the first bytes of a file (npy_header_bytes_max of them, or all) and of its
/// whole length, which must be exactly that of header and values. Versions 1.0, 2.0 and 3.0; values
/// bool, int8 … int64, uint8 … uint64, float16, float32, float64, S (bytes) and U (Unicode).
/// Python objects, which would have to be executed, and structures are refused. Throws UserError.
NpyHeader parse_npy_header(std::span<const std::uint8_t> bytes, std::size_t file_bytes,
                           std::string_view origin);

/// Bytes that an array is read from.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual void read(std::size_t offset, std::span<std::uint8_t> out) const = 0;
  virtual bool is_in_memory() const { return false; }
};

std::unique_ptr<SampleArray> npy_array(std::unique_ptr<ByteSource> source, NpyHeader header,
                                       std::string origin);

/// Reads rows from the file when they are asked for, so that a file may be larger than memory. A
/// file in Fortran order is read with one access for each value of a row.
std::unique_ptr<SampleArray> open_npy(const std::filesystem::path& file);

}  // namespace lateral
