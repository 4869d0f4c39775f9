// The values of an array in a file: their types, and their conversion to numbers and labels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "nodes/data/sample_array.hpp"

namespace lateral {

/// bytes: text padded with zero bytes; unicode: text of 32-bit code points padded with zeros.
enum class ElementForm { boolean, signed_integer, unsigned_integer, real, bytes, unicode };

struct ElementType {
  ElementForm form = ElementForm::real;
  std::size_t bytes = 4;  ///< of one value; numbers have 1, 2, 4 or 8
  bool swapped = false;   ///< the byte order is not that of this machine
};

/// The longest text of a fixed size, in bytes of the file.
constexpr std::size_t element_text_bytes_max = std::size_t{1} << 16;
/// The largest array, in bytes of the file.
constexpr std::size_t array_bytes_max = std::size_t{1} << 60;

ElementKind kind_of(const ElementType& type);

/// Bytes of an array. Throws UserError "ORIGIN: …" for a shape without samples or values, or of
/// more than array_bytes_max.
std::size_t array_bytes(const std::vector<std::size_t>& shape, std::size_t element_bytes,
                        std::string_view origin);

/// "(3, 4)"
std::string shape_text(const std::vector<std::size_t>& shape);

/// Where values stand in their array, for messages: value i is number first + i · step in row-major
/// order.
struct ValuePlace {
  std::string_view origin;
  std::size_t row_values = 1;
  std::size_t first = 0;
  std::size_t step = 1;
};

/// Throws UserError "ORIGIN: row R, column C is VALUE, expected EXPECTED" for value i.
[[noreturn]] void refuse_value(const ValuePlace& place, std::size_t i, std::string_view value,
                               std::string_view expected);

/// Converts `count` adjacent values; value i goes to to[i · place.step]. Throws UserError for one
/// that is not finite in float32, and for text.
void convert_values(const ElementType& type, const std::uint8_t* from, std::size_t count, float* to,
                    const ValuePlace& place);

/// The text of a label. Throws UserError for a real number that is not whole, and for text that is
/// empty or not Unicode.
std::string label_of(const ElementType& type, const std::uint8_t* from, const ValuePlace& place,
                     std::size_t i);

/// Throws UserError unless rows first … first + count - 1 exist; for labels: unless a row is one
/// value.
void check_rows(const SampleArray& array, std::size_t first, std::size_t count);
void check_label_rows(const SampleArray& array, std::size_t first, std::size_t count);

}  // namespace lateral
