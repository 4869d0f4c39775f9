// Splitting lines into fields and joining them.
#include "nodes/base/csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "nodes/base/failure.hpp"

namespace lateral {
std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (const std::string& field : fields) {
    if (&field != &fields.front()) line += ',';
    if (field.find_first_of(",\"\r\n") == std::string::npos) {
      line += field;
      continue;
    }
    line += '"';
    for (const char c : field) line.append(c == '"' ? 2 : 1, c);
    line += '"';
  }
  return line + '\n';
}

void split_csv_line(std::string_view line, char delimiter, std::vector<std::string>& fields) {
  std::size_t n = 0;
  const auto begin_field = [&] {
    if (n == fields.size()) fields.emplace_back();
    fields[n++].clear();
  };
  begin_field();
  bool in_quotes = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"' && in_quotes && i + 1 < line.size() && line[i + 1] == '"')
      fields[n - 1] += line[i++];
    else if (line[i] == '"')
      in_quotes = !in_quotes;
    else if (line[i] == delimiter && !in_quotes)
      begin_field();
    else
      fields[n - 1] += line[i];
  }
  fields.resize(n);
}

CsvReader::CsvReader(const std::filesystem::path& file, std::vector<std::string> columns)
    : file_{file.string()}, stream_{file, std::ios::binary}, columns_{std::move(columns)} {
  if (!stream_) throw UserError(fmt::format("{}: cannot be read", file_));
  if (!read_fields())
    throw UserError(fmt::format("{}: is empty, expected a line with the names of the columns {}",
                                file_, fmt::join(columns_, ",")));
  fields_of_header_ = fields_.size();
  for (const std::string& column : columns_) {
    const auto found = std::find(fields_.begin(), fields_.end(), column);
    if (found == fields_.end())
      refuse(fmt::format("has no column '{}', expected the columns {}", column,
                         fmt::join(columns_, ",")));
    positions_.push_back(static_cast<std::size_t>(found - fields_.begin()));
  }
}

bool CsvReader::next_row() {
  if (!read_fields()) return false;
  if (fields_.size() != fields_of_header_)
    refuse(fmt::format("has {} fields, expected {} as in the first line", fields_.size(),
                       fields_of_header_));
  return true;
}

bool CsvReader::read_fields() {
  std::string row, line;
  while (std::getline(stream_, line) && !stream_.eof()) {
    ++lines_read_;
    if (row.empty()) line_ = lines_read_;
    row += line;
    // A line break between quotes belongs to a field.
    if (std::count(row.begin(), row.end(), '"') % 2 == 1) {
      row += '\n';
      continue;
    }
    if (row.ends_with('\r')) row.pop_back();
    if (row.empty()) continue;
    split_csv_line(row, ',', fields_);
    return true;
  }
  if (!row.empty()) refuse("begins a quote that does not end");
  return false;
}

template <class Number>
Number CsvReader::convert(std::size_t column, const char* expected) const {
  const std::string& field = text(column);
  const char* const end = field.data() + field.size();
  Number value{};
  const auto [stop, failure] = std::from_chars(field.data(), end, value);
  if (failure != std::errc{} || stop != end) {
    constexpr std::size_t shown_max = 64;
    refuse(fmt::format("column '{}' is '{}', expected {}", columns_[column],
                       field.substr(0, shown_max), expected));
  }
  return value;
}

std::uint64_t CsvReader::integer(std::size_t column) const {
  return convert<std::uint64_t>(column, "a whole number");
}

double CsvReader::number(std::size_t column) const { return convert<double>(column, "a number"); }

void CsvReader::refuse(const std::string& reason) const {
  throw UserError(one_line(fmt::format("{}:{}: {}", file_, line_, reason)));
}

}  // namespace lateral
