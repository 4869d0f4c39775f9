// CSV: lines, the header, and the columns of inputs and targets.
#include "nodes/data/reader/csv.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "nodes/base/csv.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/data/reader/element.hpp"
#include "nodes/data/reader/input_file.hpp"

namespace lateral {
namespace {

constexpr std::size_t block_bytes = std::size_t{1} << 20;
constexpr std::size_t names_shown_max = 10;
constexpr std::size_t value_shown_max = 64;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view spaces = " \t";
  const std::size_t first = text.find_first_not_of(spaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

bool is_missing(std::string_view field) {
  constexpr std::array<std::string_view, 5> missing{"", "na", "n/a", "nan", "?"};
  const auto lower = [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b;
  };
  return std::any_of(missing.begin(), missing.end(), [&](std::string_view word) {
    return std::equal(field.begin(), field.end(), word.begin(), word.end(), lower);
  });
}

/// Also for what is not finite; "+1" is a number.
std::optional<double> number_of(std::string_view field) {
  if (field.starts_with('+') && !field.starts_with("+-")) field.remove_prefix(1);
  double value = 0;
  const char* const end = field.data() + field.size();
  const auto [stop, failure] = std::from_chars(field.data(), end, value);
  if (stop != end || field.empty() || failure == std::errc::invalid_argument) return std::nullopt;
  // Smaller than the smallest number is zero; larger than the largest is not a number of float32.
  if (failure == std::errc::result_out_of_range) {
    const std::size_t exponent = field.find_first_of("eE"), digit = field.find_first_not_of('-');
    const bool is_small = exponent == field.npos ? field[digit] == '0' || field[digit] == '.'
                                                 : field[exponent + 1] == '-';
    value = is_small ? 0 : std::numeric_limits<double>::infinity();
  }
  return value;
}

/// Rows of a file, a block of it in memory.
class Rows {
 public:
  explicit Rows(const std::filesystem::path& path) : file_{path, "a CSV file"} {
    std::array<std::uint8_t, 3> mark{};
    const std::size_t n = std::min(mark.size(), file_.size());
    file_.read(0, {mark.data(), n});
    if (n == 3 && std::memcmp(mark.data(), "\xEF\xBB\xBF", 3) == 0) offset_ = 3;
    if (n >= 2 && (std::memcmp(mark.data(), "\xFF\xFE", 2) == 0 ||
                   std::memcmp(mark.data(), "\xFE\xFF", 2) == 0))
      throw UserError(fmt::format("{}: is UTF-16 text, expected UTF-8", file_.name()));
  }

  /// The next row that is not empty, without its line break. False after the last one.
  bool next(std::string& row) {
    row.clear();
    bool in_quotes = false;
    std::string_view line;
    while (next_line(line)) {
      if (row.empty()) line_ = lines_read_;
      // Before the first line of the row is added, no quotes are open.
      row += line;
      if (std::count(line.begin(), line.end(), '"') % 2 == 1) in_quotes = !in_quotes;
      if (row.size() > csv_row_bytes_max)
        refuse(fmt::format("a row of more than {} bytes (a quote that does not end?)",
                           csv_row_bytes_max));
      if (in_quotes) {
        row += '\n';
        continue;
      }
      if (row.ends_with('\r')) row.pop_back();
      if (!trimmed(row).empty()) return true;
      row.clear();
    }
    if (in_quotes) refuse("begins a quote that does not end");
    return false;
  }

  const std::string& file() const { return file_.name(); }
  /// Throws UserError that names the file and the first line of the row.
  [[noreturn]] void refuse(const std::string& reason) const {
    throw UserError(one_line(fmt::format("{}:{}: {}", file_.name(), line_, reason)));
  }

 private:
  /// Without its line feed.
  bool next_line(std::string_view& line) {
    std::size_t searched = at_;
    while (true) {
      const std::size_t end = block_.find('\n', searched);
      if (end != std::string::npos) {
        line = std::string_view{block_}.substr(at_, end - at_);
        at_ = end + 1;
        break;
      }
      searched = block_.size() - at_;
      if (!read_block()) {
        line = std::string_view{block_}.substr(at_);
        at_ = block_.size();
        if (line.empty()) return false;
        break;
      }
    }
    ++lines_read_;
    return true;
  }

  /// Drops what is before at_ and reads more. False at the end of the file.
  bool read_block() {
    block_.erase(0, at_);
    at_ = 0;
    const std::size_t n = std::min(block_bytes, file_.size() - offset_);
    if (n == 0) return false;
    if (block_.size() > csv_row_bytes_max) {
      line_ = lines_read_ + 1;
      refuse(fmt::format("a line of more than {} bytes", csv_row_bytes_max));
    }
    const std::size_t kept = block_.size();
    block_.resize(kept + n);
    file_.read(offset_, {reinterpret_cast<std::uint8_t*>(block_.data()) + kept, n});
    offset_ += n;
    return true;
  }

  InputFile file_;
  std::string block_;
  std::size_t at_ = 0, offset_ = 0, lines_read_ = 0, line_ = 0;
};

char delimiter_of(std::string_view row) {
  bool in_quotes = false;
  char found = ',';
  for (const char c : row) {
    if (c == '"') in_quotes = !in_quotes;
    if (in_quotes) continue;
    if (c == '\t') return c;
    if (c == ';') found = c;
  }
  return found;
}

bool is_header(const std::vector<std::string>& fields, const std::vector<std::string>& targets) {
  bool has_number = false, counts = fields.size() > 1;
  for (std::size_t c = 0; c < fields.size(); ++c) {
    const std::string_view field = trimmed(fields[c]);
    const bool is_number = number_of(field).has_value();
    if (!is_number && std::find(targets.begin(), targets.end(), field) != targets.end())
      return true;
    has_number = has_number || is_number;
    counts = counts && (!is_number || field == fmt::to_string(c));
  }
  return !has_number || counts;
}

/// Numbers in memory, rows of equal length.
class NumberTable final : public SampleArray {
 public:
  ///   names: of the columns; none if the file has no header
  NumberTable(std::string origin, std::size_t columns, std::vector<std::string> names,
              bool is_single)
      : origin_{std::move(origin)}, shape_{0, columns}, names_{std::move(names)} {
    if (is_single) shape_.pop_back();
  }
  void add(float value) { values_.push_back(value); }
  void finish_row() { ++shape_.front(); }

  const std::vector<std::size_t>& shape() const override { return shape_; }
  ElementKind kind() const override { return ElementKind::real; }
  const std::string& origin() const override { return origin_; }
  std::vector<std::string> value_names() const override { return names_; }
  void read(std::size_t first, std::size_t count, float* out) const override {
    check_rows(*this, first, count);
    std::copy_n(values_.begin() + static_cast<std::ptrdiff_t>(first * row_values()),
                count * row_values(), out);
  }
  std::vector<std::string> read_labels(std::size_t first, std::size_t count) const override {
    check_label_rows(*this, first, count);
    std::vector<std::string> labels;
    for (std::size_t i = 0; i < count; ++i)
      labels.push_back(label_of({ElementForm::real, sizeof(float)},
                                reinterpret_cast<const std::uint8_t*>(&values_[first + i]),
                                {origin_, 1, first, 1}, i));
    return labels;
  }

 private:
  std::string origin_;
  std::vector<std::size_t> shape_;
  std::vector<std::string> names_;
  // Not a vector, which needs up to three times its memory while it grows.
  std::deque<float> values_;
};

/// One column of labels: whole numbers if all are, otherwise text.
class LabelColumn final : public SampleArray {
 public:
  explicit LabelColumn(std::string origin) : origin_{std::move(origin)} {}
  void add(std::string_view label) {
    const std::optional<double> number = number_of(label);
    are_numbers_ = are_numbers_ && number.has_value();
    if (!number || std::trunc(*number) != *number || !(std::abs(*number) <= whole_max)) {
      if (are_whole_) first_not_whole_ = labels_.size();
      are_whole_ = false;
    }
    labels_.emplace_back(label);
  }
  void finish() {
    shape_ = {labels_.size()};
    if (are_numbers_ && !are_whole_)
      refuse_value({origin_}, first_not_whole_, labels_[first_not_whole_],
                   "a whole number or text as the label");
    if (!are_whole_) return;
    for (std::string& label : labels_)
      label = fmt::to_string(static_cast<std::int64_t>(number_of(label).value_or(0)));
  }

  const std::vector<std::size_t>& shape() const override { return shape_; }
  ElementKind kind() const override {
    return are_whole_ ? ElementKind::integer : ElementKind::text;
  }
  const std::string& origin() const override { return origin_; }
  void read(std::size_t first, std::size_t count, float* out) const override {
    check_rows(*this, first, count);
    for (std::size_t i = 0; i < count; ++i) {
      if (!are_whole_) refuse_value({origin_, 1, first}, i, "text", "a number");
      out[i] = static_cast<float>(number_of(labels_[first + i]).value_or(0));
    }
  }
  std::vector<std::string> read_labels(std::size_t first, std::size_t count) const override {
    check_label_rows(*this, first, count);
    const auto begin = labels_.begin() + static_cast<std::ptrdiff_t>(first);
    return {begin, begin + static_cast<std::ptrdiff_t>(count)};
  }

 private:
  static constexpr double whole_max = 9007199254740992;  // 2^53
  std::string origin_;
  std::vector<std::size_t> shape_;
  std::deque<std::string> labels_;
  bool are_numbers_ = true, are_whole_ = true;
  std::size_t first_not_whole_ = 0;
};

class CsvTable {
 public:
  CsvTable(const std::filesystem::path& file, std::vector<std::string> targets, bool are_labels)
      : rows_{file},
        targets_{std::move(targets)},
        needs_targets_{!targets_.empty()},
        are_labels_{are_labels} {}

  CsvArrays read() {
    std::string row;
    if (!rows_.next(row))
      throw UserError(fmt::format("{}: is empty, expected a row for each sample", rows_.file()));
    delimiter_ = delimiter_of(row);
    check_text(row);
    split_csv_line(row, delimiter_, fields_);
    has_header_ = name_columns();
    if (has_header_) check_names();
    if (needs_targets_) find_targets();
    make_arrays();
    bool has_row = !has_header_ || rows_.next(row);
    if (!has_row)
      throw UserError(
          fmt::format("{}: has a header only, expected a row for each sample", rows_.file()));
    for (; has_row; has_row = rows_.next(row)) {
      split_csv_line(row, delimiter_, fields_);
      if (fields_.size() != names_.size())
        rows_.refuse(fmt::format("has {} fields, expected {} as in the first line", fields_.size(),
                                 names_.size()));
      add_row();
    }
    CsvArrays arrays;
    arrays.inputs = std::move(inputs_);
    if (labels_ != nullptr) labels_->finish();
    if (are_labels_)
      arrays.targets = std::move(labels_);
    else if (needs_targets_)
      arrays.targets = std::move(values_);
    return arrays;
  }

 private:
  /// Whether the first line is a header.
  bool name_columns() {
    if (fields_.size() > csv_columns_max)
      rows_.refuse(
          fmt::format("has {} columns, expected at most {}", fields_.size(), csv_columns_max));
    const bool has_header = is_header(fields_, targets_);
    for (std::size_t c = 0; c < fields_.size(); ++c)
      names_.emplace_back(has_header ? std::string(trimmed(fields_[c])) : fmt::to_string(c));
    if (!has_header && targets_ == std::vector<std::string>{"y"}) targets_ = {names_.back()};
    return has_header;
  }

  /// An index that was written along with the values, or a column that is there twice, would be
  /// learned from unnoticed.
  void check_names() const {
    std::set<std::string> found;
    for (const std::string& name : names_) {
      if (name.empty())
        throw UserError(
            fmt::format("{}: has a column without a name, expected one for each (is it "
                        "an index? pandas leaves it out with to_csv(index=False))",
                        rows_.file()));
      if (!found.insert(name).second)
        throw UserError(one_line(
            fmt::format("{}: has two columns '{}', expected each name once", rows_.file(), name)));
    }
  }

  void find_targets() {
    if (targets_.empty() || (are_labels_ && targets_.size() != 1))
      throw UserError(fmt::format("{}: {} target columns, expected {}", rows_.file(),
                                  targets_.size(),
                                  are_labels_ ? "one, the label" : "at least one"));
    for (const std::string& target : targets_) {
      const auto found = std::find(names_.begin(), names_.end(), target);
      if (found == names_.end()) refuse_target(target);
      const auto column = static_cast<std::size_t>(found - names_.begin());
      if (!is_target_.insert(column).second)
        throw UserError(one_line(fmt::format(
            "{}: the target column '{}' is given twice, expected once", rows_.file(), target)));
      target_columns_.push_back(column);
    }
    if (target_columns_.size() == names_.size())
      throw UserError(
          fmt::format("{}: all {} columns are targets, expected an input (is the "
                      "delimiter a comma, a semicolon or a tab?)",
                      rows_.file(), names_.size()));
  }

  [[noreturn]] void refuse_target(const std::string& target) const {
    const std::size_t shown = std::min(names_.size(), names_shown_max);
    throw UserError(one_line(fmt::format(
        "{}: has no column '{}', expected one of: {}{}", rows_.file(), target,
        fmt::join(names_.begin(), names_.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
        names_.size() > shown ? fmt::format(" … ({} in all)", names_.size()) : "")));
  }

  void make_arrays() {
    for (std::size_t c = 0; c < names_.size(); ++c)
      if (!is_target_.contains(c)) input_columns_.push_back(c);
    std::vector<std::string> input_names;
    for (const std::size_t c : input_columns_)
      if (has_header_) input_names.push_back(names_[c]);
    inputs_ = std::make_unique<NumberTable>(rows_.file() + ": inputs", input_columns_.size(),
                                            std::move(input_names), false);
    std::vector<std::string> names;
    for (const std::size_t c : target_columns_) names.push_back(names_[c]);
    const std::string origin =
        one_line(fmt::format("{}: {}", rows_.file(), fmt::join(names, ", ")));
    if (are_labels_)
      labels_ = std::make_unique<LabelColumn>(origin);
    else
      values_ = std::make_unique<NumberTable>(origin, names.size(), std::vector<std::string>{},
                                              names.size() == 1);
  }

  void add_row() {
    for (const std::size_t c : input_columns_) inputs_->add(number(c));
    inputs_->finish_row();
    if (!needs_targets_) return;
    if (are_labels_) {
      const std::string_view label = field(target_columns_.front(), "a label");
      check_text(label);
      labels_->add(label);
      return;
    }
    for (const std::size_t c : target_columns_) values_->add(number(c));
    values_->finish_row();
  }

  /// Names and labels go into text files.
  void check_text(std::string_view text) const {
    if (!is_utf8(text))
      rows_.refuse(
          fmt::format("'{}' is not UTF-8 text, expected UTF-8", text.substr(0, value_shown_max)));
  }

  /// Fails if the value is missing.
  std::string_view field(std::size_t column, const char* expected) const {
    const std::string_view text = trimmed(fields_[column]);
    if (is_missing(text))
      rows_.refuse(fmt::format("column '{}' is missing ('{}'), expected {}", names_[column], text,
                               expected));
    return text;
  }

  float number(std::size_t column) const {
    const std::string_view text = field(column, "a number");
    const std::optional<double> value = number_of(text);
    const auto refuse = [&](const char* expected) {
      rows_.refuse(fmt::format("column '{}' is '{}', expected {}", names_[column],
                               text.substr(0, value_shown_max), expected));
    };
    if (!value) refuse(text.find(',') == text.npos ? "a number" : "a number with a decimal point");
    if (!(std::abs(*value) <= std::numeric_limits<float>::max()))
      refuse("a finite number of at most 3.4e38 (float32)");
    return static_cast<float>(*value);
  }

  Rows rows_;
  std::vector<std::string> targets_;
  bool needs_targets_;
  bool are_labels_;
  bool has_header_ = false;
  char delimiter_ = ',';
  std::vector<std::string> fields_, names_;
  std::vector<std::size_t> target_columns_, input_columns_;
  std::set<std::size_t> is_target_;
  std::unique_ptr<NumberTable> inputs_, values_;
  std::unique_ptr<LabelColumn> labels_;
};

}  // namespace

CsvArrays open_csv(const std::filesystem::path& file,
                   const std::vector<std::string>& target_columns, bool targets_are_labels) {
  return CsvTable{file, target_columns, targets_are_labels}.read();
}

}  // namespace lateral
