// The values of an array in a file: their types, and their conversion to numbers and labels.
#include "nodes/data/reader/element.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "nodes/base/failure.hpp"

namespace lateral {
namespace {

/// A number of 16 bits: sign, 5 bits of exponent, 10 of fraction.
struct Half {
  std::uint16_t bits;
};

float to_float(Half half) {
  const int exponent = (half.bits >> 10) & 31;
  const auto fraction = static_cast<float>(half.bits & 1023);
  float size = 0;
  if (exponent == 31)
    size = fraction == 0 ? std::numeric_limits<float>::infinity()
                         : std::numeric_limits<float>::quiet_NaN();
  else if (exponent == 0)
    size = std::ldexp(fraction, -24);
  else
    size = std::ldexp(1024 + fraction, exponent - 25);
  return (half.bits & 0x8000) != 0 ? -size : size;
}

template <class Number>
Number load(const std::uint8_t* from, bool swapped) {
  std::array<std::uint8_t, sizeof(Number)> bytes;
  std::memcpy(bytes.data(), from, sizeof(Number));
  if (swapped) std::reverse(bytes.begin(), bytes.end());
  return std::bit_cast<Number>(bytes);
}

/// Calls `use` with a value of the C++ type that the number has in the file.
template <class Use>
void with_number(const ElementType& type, Use use) {
  switch (type.form) {
    case ElementForm::boolean:
    case ElementForm::unsigned_integer:
      if (type.bytes == 1) return use(std::uint8_t{});
      if (type.bytes == 2) return use(std::uint16_t{});
      if (type.bytes == 4) return use(std::uint32_t{});
      return use(std::uint64_t{});
    case ElementForm::signed_integer:
      if (type.bytes == 1) return use(std::int8_t{});
      if (type.bytes == 2) return use(std::int16_t{});
      if (type.bytes == 4) return use(std::int32_t{});
      return use(std::int64_t{});
    default:
      if (type.bytes == 2) return use(Half{});
      if (type.bytes == 4) return use(float{});
      return use(double{});
  }
}

bool is_text(const ElementType& type) {
  return type.form == ElementForm::bytes || type.form == ElementForm::unicode;
}

template <class Number>
auto value_of(Number number) {
  return number;
}
float value_of(Half half) { return to_float(half); }

template <class Number>
void convert(const ElementType& type, const std::uint8_t* from, std::size_t count, float* to,
             const ValuePlace& place) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = value_of(load<Number>(from + i * sizeof(Number), type.swapped));
    // False for NaN as well.
    if constexpr (std::is_floating_point_v<decltype(value)>)
      if (!(std::abs(value) <= std::numeric_limits<float>::max()))
        refuse_value(place, i, fmt::to_string(value),
                     "a finite number of at most 3.4e38 (float32)");
    to[i * place.step] = static_cast<float>(value);
  }
}

/// Appends the UTF-8 encoding. False for what is not a Unicode scalar value.
bool append_utf8(std::string& text, std::uint32_t point) {
  const auto put = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  const auto put_rest = [&](std::uint32_t shift) { put(0x80U | ((point >> shift) & 0x3FU)); };
  if (point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return false;
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0U | (point >> 6U));
    put_rest(0);
  } else if (point < 0x10000) {
    put(0xE0U | (point >> 12U));
    put_rest(6);
    put_rest(0);
  } else {
    put(0xF0U | (point >> 18U));
    put_rest(12);
    put_rest(6);
    put_rest(0);
  }
  return true;
}

std::string text_of(const ElementType& type, const std::uint8_t* from, const ValuePlace& place,
                    std::size_t i) {
  std::string text;
  if (type.form == ElementForm::bytes) {
    text.assign(reinterpret_cast<const char*>(from), type.bytes);
    text.erase(text.find_last_not_of('\0') + 1);
  } else {
    std::size_t points = type.bytes / sizeof(std::uint32_t);
    const auto point = [&](std::size_t p) {
      return load<std::uint32_t>(from + p * sizeof(std::uint32_t), type.swapped);
    };
    while (points > 0 && point(points - 1) == 0) --points;
    for (std::size_t p = 0; p < points; ++p)
      if (!append_utf8(text, point(p)))
        refuse_value(place, i, fmt::format("text with the code point {:#x}", point(p)),
                     "Unicode text");
  }
  if (text.empty()) refuse_value(place, i, "empty text", "a label");
  return text;
}

}  // namespace

ElementKind kind_of(const ElementType& type) {
  if (is_text(type)) return ElementKind::text;
  if (type.form == ElementForm::real) return ElementKind::real;
  return type.form == ElementForm::unsigned_integer && type.bytes == 1 ? ElementKind::unsigned_byte
                                                                       : ElementKind::integer;
}

std::string shape_text(const std::vector<std::size_t>& shape) {
  return fmt::format("({}{})", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
}

std::size_t array_bytes(const std::vector<std::size_t>& shape, std::size_t element_bytes,
                        std::string_view origin) {
  if (shape.empty())
    throw UserError(fmt::format(
        "{}: a single value, expected an array whose first dimension counts samples", origin));
  std::size_t bytes = element_bytes;
  for (const std::size_t extent : shape) {
    if (extent == 0)
      throw UserError(fmt::format("{}: has no values (shape {}), expected at least one sample",
                                  origin, shape_text(shape)));
    if (extent > array_bytes_max / bytes)
      throw UserError(
          fmt::format("{}: shape {} of {} bytes a value, expected an array of at most "
                      "{} bytes",
                      origin, shape_text(shape), element_bytes, array_bytes_max));
    bytes *= extent;
  }
  return bytes;
}

void refuse_value(const ValuePlace& place, std::size_t i, std::string_view value,
                  std::string_view expected) {
  const std::size_t number = place.first + i * place.step;
  throw UserError(
      one_line(fmt::format("{}: row {}, column {} is {}, expected {}", place.origin,
                           number / place.row_values, number % place.row_values, value, expected)));
}

void convert_values(const ElementType& type, const std::uint8_t* from, std::size_t count, float* to,
                    const ValuePlace& place) {
  if (is_text(type)) {
    if (count > 0) refuse_value(place, 0, "text", "a number (text can only be a label)");
    return;
  }
  with_number(type, [&](auto number) { convert<decltype(number)>(type, from, count, to, place); });
}

std::string label_of(const ElementType& type, const std::uint8_t* from, const ValuePlace& place,
                     std::size_t i) {
  if (is_text(type)) return text_of(type, from, place, i);
  std::string label;
  with_number(type, [&](auto number) {
    const auto value = value_of(load<decltype(number)>(from, type.swapped));
    if constexpr (std::is_floating_point_v<decltype(value)>) {
      constexpr double whole_max = 9007199254740992;  // 2^53: above, not every whole number exists
      if (!(std::abs(value) <= whole_max) || std::trunc(value) != value)
        refuse_value(place, i, fmt::to_string(value), "a whole number as the label");
      label = fmt::to_string(static_cast<std::int64_t>(value));
    } else {
      label = fmt::to_string(value);
    }
  });
  return label;
}

void check_rows(const SampleArray& array, std::size_t first, std::size_t count) {
  if (first > array.samples() || count > array.samples() - first)
    throw UserError(fmt::format("{}: has {} samples, expected {} more from number {} on",
                                array.origin(), array.samples(), count, first));
}

void check_label_rows(const SampleArray& array, std::size_t first, std::size_t count) {
  check_rows(array, first, count);
  if (array.row_values() != 1)
    throw UserError(fmt::format("{}: {} values a sample (shape {}), expected one label a sample",
                                array.origin(), array.row_values(), shape_text(array.shape())));
}

}  // namespace lateral
