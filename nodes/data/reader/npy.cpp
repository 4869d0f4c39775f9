// NPY: the header, and rows in C and Fortran order.
#include "nodes/data/reader/npy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "nodes/base/failure.hpp"
#include "nodes/data/files.hpp"
#include "nodes/data/reader/input_file.hpp"

namespace lateral {
namespace {

/// Bytes that are read from a file at once, unless a row has more.
constexpr std::size_t piece_bytes = std::size_t{1} << 22;
constexpr std::string_view magic = "\x93NUMPY";

/// The text of a header: a Python dictionary of literals.
class HeaderText {
 public:
  HeaderText(std::string_view text, std::size_t offset, std::string_view origin)
      : text_{text}, offset_{offset}, origin_{origin} {}

  void parse(NpyHeader& header) {
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !has_type_) {
        parse_type(header.type);
        has_type_ = true;
      } else if (key == "fortran_order" && !has_order_) {
        header.fortran_order = truth();
        has_order_ = true;
      } else if (key == "shape" && !has_shape_) {
        parse_shape(header.shape);
        has_shape_ = true;
      } else {
        refuse("the key '" + key + "'", "'descr', 'fortran_order' and 'shape', each once");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) refuse(shown(), "the end of the header");
    if (!has_type_ || !has_order_ || !has_shape_)
      refuse("the end of the header", "'descr', 'fortran_order' and 'shape'");
  }

 private:
  [[noreturn]] void refuse(const std::string& found, std::string_view expected) const {
    refuse_data(origin_, offset_ + at_, one_line(found), expected);
  }
  std::string shown() const {
    constexpr std::size_t shown_max = 32;
    if (at_ >= text_.size()) return "the end of the header";
    return fmt::format("'{}'", text_.substr(at_, shown_max));
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) refuse(shown(), fmt::format("'{}'", c));
  }
  bool accept_word(std::string_view word) {
    skip_space();
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  std::string quoted() {
    skip_space();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') refuse(shown(), "text in quotes");
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) refuse(shown(), "the end of the quotes");
    const std::string text{text_.substr(at_ + 1, end - at_ - 1)};
    at_ = end + 1;
    return text;
  }

  bool truth() {
    if (accept_word("True")) return true;
    if (accept_word("False")) return false;
    refuse(shown(), "True or False");
  }

  std::size_t whole_number() {
    skip_space();
    std::size_t number = 0;
    const char* const end = text_.data() + text_.size();
    const auto [stop, failure] = std::from_chars(text_.data() + at_, end, number);
    if (failure != std::errc{}) refuse(shown(), "a whole number");
    at_ = static_cast<std::size_t>(stop - text_.data());
    accept_word("L");  // as Python 2 writes long integers
    return number;
  }

  void parse_shape(std::vector<std::size_t>& shape) {
    expect('(');
    while (!accept(')')) {
      if (shape.size() == npy_dimensions_max)
        refuse(shown(), fmt::format("at most {} dimensions", npy_dimensions_max));
      shape.push_back(whole_number());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
  }

  void parse_type(ElementType& type) {
    skip_space();
    if (at_ < text_.size() && text_[at_] == '[')
      refuse("a structure of several values", "an array of numbers or text");
    const std::size_t start = at_;
    const std::string descr = quoted();
    const std::optional<ElementType> known = type_of(descr);
    if (known) {
      type = *known;
      return;
    }
    at_ = start;
    if (descr.size() >= 2 && descr[1] == 'O')
      refuse("Python objects (dtype object), which are never executed",
             "an array of numbers or text: convert it with astype()");
    refuse(fmt::format("values of type '{}'", descr.substr(0, 32)),
           "bool, int8 to int64, uint8 to uint64, float16, float32, float64, S or U");
  }

  static std::optional<ElementType> type_of(std::string_view descr) {
    if (descr.size() < 3) return std::nullopt;
    ElementType type;
    const char order = descr[0];
    if (order != '<' && order != '>' && order != '|' && order != '=') return std::nullopt;
    constexpr bool little = std::endian::native == std::endian::little;
    type.swapped = order == (little ? '>' : '<');
    std::size_t size = 0;
    const char* const end = descr.data() + descr.size();
    const auto [stop, failure] = std::from_chars(descr.data() + 2, end, size);
    if (failure != std::errc{} || stop != end || size == 0 || size > element_text_bytes_max)
      return std::nullopt;
    type.bytes = size;
    const bool is_power = size <= 8 && std::has_single_bit(size);
    switch (descr[1]) {
      case 'b':
        type.form = ElementForm::boolean;
        return size == 1 ? std::optional{type} : std::nullopt;
      case 'i':
        type.form = ElementForm::signed_integer;
        break;
      case 'u':
        type.form = ElementForm::unsigned_integer;
        break;
      case 'f':
        if (size == 1) return std::nullopt;
        type.form = ElementForm::real;
        break;
      case 'S':
        type.form = ElementForm::bytes;
        return type;
      case 'U':
        type.form = ElementForm::unicode;
        type.bytes = size * sizeof(std::uint32_t);
        return type.bytes <= element_text_bytes_max ? std::optional{type} : std::nullopt;
      default:
        return std::nullopt;
    }
    return is_power ? std::optional{type} : std::nullopt;
  }

  std::string_view text_;
  std::size_t offset_, at_ = 0;
  std::string_view origin_;
  bool has_type_ = false, has_order_ = false, has_shape_ = false;
};

std::size_t little_endian(std::span<const std::uint8_t> bytes) {
  std::size_t number = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) number = number << 8U | bytes[i - 1];
  return number;
}

/// The text of the header in the bytes, without what precedes it.
std::pair<std::size_t, std::size_t> text_range(std::span<const std::uint8_t> bytes,
                                               std::string_view origin) {
  constexpr std::size_t version_at = magic.size(), length_at = version_at + 2;
  if (bytes.size() < magic.size() || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0)
    refuse_data(origin, 0, bytes.empty() ? "the end of the file" : "other bytes",
                "the magic number of an NPY file");
  if (bytes.size() < length_at)
    refuse_data(origin, bytes.size(), "the end of the file", "an NPY header (truncated)");
  const unsigned major = bytes[version_at], minor = bytes[version_at + 1];
  if (major < 1 || major > 3 || minor != 0)
    refuse_data(origin, version_at, fmt::format("version {}.{}", major, minor),
                "NPY version 1.0, 2.0 or 3.0");
  const std::size_t length_bytes = major == 1 ? 2 : 4, text_at = length_at + length_bytes;
  if (bytes.size() < text_at)
    refuse_data(origin, bytes.size(), "the end of the file", "an NPY header (truncated)");
  const std::size_t length = little_endian(bytes.subspan(length_at, length_bytes));
  if (length > npy_header_text_max)
    refuse_data(origin, length_at, fmt::format("a header of {} bytes", length),
                fmt::format("at most {}", npy_header_text_max));
  if (length > bytes.size() - text_at)
    refuse_data(origin, bytes.size(), "the end of the file",
                fmt::format("a header of {} bytes (truncated)", length));
  return {text_at, length};
}

class NpyArray final : public SampleArray {
 public:
  NpyArray(std::unique_ptr<ByteSource> source, NpyHeader header, std::string origin)
      : source_{std::move(source)}, header_{std::move(header)}, origin_{std::move(origin)} {}

  std::size_t value_bytes() const override {
    return source_->is_in_memory() ? header_.type.bytes : SampleArray::value_bytes();
  }

  const std::vector<std::size_t>& shape() const override { return header_.shape; }
  ElementKind kind() const override { return kind_of(header_.type); }
  const std::string& origin() const override { return origin_; }

  void read(std::size_t first, std::size_t count, float* out) const override {
    check_rows(*this, first, count);
    if (!header_.fortran_order) {
      const std::size_t values = row_values();
      each_piece(first * values, count * values, [&](std::size_t at, auto bytes, std::size_t n) {
        convert_values(header_.type, bytes, n, out + (at - first * values),
                       {origin_, values, at, 1});
      });
      return;
    }
    read_columns(first, count, out);
  }

  std::vector<std::string> read_labels(std::size_t first, std::size_t count) const override {
    check_label_rows(*this, first, count);
    std::vector<std::string> labels;
    // With one value a row, both orders are the same.
    each_piece(first, count, [&](std::size_t at, const std::uint8_t* bytes, std::size_t n) {
      for (std::size_t i = 0; i < n; ++i)
        labels.push_back(
            label_of(header_.type, bytes + i * header_.type.bytes, {origin_, 1, at, 1}, i));
    });
    return labels;
  }

 private:
  /// Calls use(number of the first value, bytes, number of values) for values that are adjacent in
  /// the file.
  template <class Use>
  void each_piece(std::size_t first, std::size_t count, Use use) const {
    const std::size_t bytes = header_.type.bytes;
    const std::size_t most = std::min(count, std::max<std::size_t>(1, piece_bytes / bytes));
    buffer_.resize(most * bytes);
    for (std::size_t done = 0; done < count;) {
      const std::size_t n = std::min(most, count - done);
      source_->read(header_.values_offset + (first + done) * bytes, {buffer_.data(), n * bytes});
      use(first + done, buffer_.data(), n);
      done += n;
    }
  }

  /// Fortran order: value (i, j) of the file is number i + samples · k, where k counts the other
  /// indices with the first of them fastest.
  void read_columns(std::size_t first, std::size_t count, float* out) const {
    const std::vector<std::size_t>& extents = header_.shape;
    const std::size_t values = row_values();
    std::vector<std::size_t> index(extents.size(), 0);
    for (std::size_t k = 0; k < values; ++k) {
      std::size_t column = 0;
      for (std::size_t d = 1; d < extents.size(); ++d) column = column * extents[d] + index[d];
      const std::size_t start = k * samples() + first;
      each_piece(start, count, [&](std::size_t at, const std::uint8_t* bytes, std::size_t n) {
        const std::size_t row = at - start;
        convert_values(header_.type, bytes, n, out + row * values + column,
                       {origin_, values, (first + row) * values + column, values});
      });
      for (std::size_t d = 1; d < extents.size(); ++d) {
        if (++index[d] < extents[d]) break;
        index[d] = 0;
      }
    }
  }

  std::unique_ptr<ByteSource> source_;
  NpyHeader header_;
  std::string origin_;
  mutable std::vector<std::uint8_t> buffer_;
};

class FileSource final : public ByteSource {
 public:
  explicit FileSource(std::unique_ptr<InputFile> file) : file_{std::move(file)} {}
  void read(std::size_t offset, std::span<std::uint8_t> out) const override {
    file_->read(offset, out);
  }

 private:
  std::unique_ptr<InputFile> file_;
};

}  // namespace

NpyHeader parse_npy_header(std::span<const std::uint8_t> bytes, std::size_t file_bytes,
                           std::string_view origin) {
  const auto [at, length] = text_range(bytes, origin);
  NpyHeader header;
  header.values_offset = at + length;
  HeaderText{{reinterpret_cast<const char*>(bytes.data()) + at, length}, at, origin}.parse(header);
  const std::size_t expected =
      header.values_offset + array_bytes(header.shape, header.type.bytes, origin);
  if (file_bytes < expected)
    refuse_data(
        origin, file_bytes, "the end of the file",
        fmt::format("{} bytes for the shape {} (truncated)", expected, shape_text(header.shape)));
  if (file_bytes > expected)
    refuse_data(origin, expected, fmt::format("{} more bytes", file_bytes - expected),
                fmt::format("the end of the file after the values of the shape {}",
                            shape_text(header.shape)));
  return header;
}

std::unique_ptr<SampleArray> npy_array(std::unique_ptr<ByteSource> source, NpyHeader header,
                                       std::string origin) {
  return std::make_unique<NpyArray>(std::move(source), std::move(header), std::move(origin));
}

std::unique_ptr<SampleArray> open_npy(const std::filesystem::path& file) {
  auto input = std::make_unique<InputFile>(file, "an NPY file");
  std::vector<std::uint8_t> start(std::min(input->size(), npy_header_bytes_max));
  input->read(0, start);
  NpyHeader header = parse_npy_header(start, input->size(), input->name());
  return npy_array(std::make_unique<FileSource>(std::move(input)), std::move(header),
                   file.string());
}

}  // namespace lateral
