// CSV tables (RFC 4180): read row by row with columns by name, written a line at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace lateral {

/// One line of a table with its line break. Fields with a comma, a quote or a line break are put
/// in quotes.
std::string csv_line(const std::vector<std::string>& fields);

/// The fields of a line, without its line break; a delimiter in quotes and a doubled quote belong
/// to a field. The texts of `fields` are used again, so that many lines need few allocations.
void split_csv_line(std::string_view line, char delimiter, std::vector<std::string>& fields);

/// Reads a table whose first line names its columns:
///   CsvReader table{file, {"epoch", "loss"}};
///   while (table.next_row()) use(table.integer(0), table.number(1));
/// A last line without its line break, which a crash may leave, is not a row; nor are empty lines.
/// Every error is a UserError that names the file and, where they apply, the line, the column and
/// the value.
class CsvReader {
 public:
  /// `columns` are those that will be read, by their position in this list. The file may have them
  /// in another order, and may have more columns. Throws UserError if the file cannot be read or
  /// lacks a column.
  CsvReader(const std::filesystem::path& file, std::vector<std::string> columns);

  /// Goes to the next row. False after the last one.
  /// Throws UserError if the row does not have as many fields as the first line.
  bool next_row();

  const std::string& text(std::size_t column) const { return fields_[positions_[column]]; }
  /// Throws UserError unless the field is a whole number of at least 0.
  std::uint64_t integer(std::size_t column) const;
  /// Throws UserError unless the field is a number, "nan" or "inf".
  double number(std::size_t column) const;

 private:
  bool read_fields();
  template <class Number>
  Number convert(std::size_t column, const char* expected) const;
  [[noreturn]] void refuse(const std::string& reason) const;

  std::string file_;
  std::ifstream stream_;
  std::vector<std::string> columns_;
  std::vector<std::size_t> positions_;  // of each column among the fields
  std::vector<std::string> fields_;     // of the current row
  std::size_t fields_of_header_ = 0;
  std::size_t line_ = 0, lines_read_ = 0;  // the current row's first line, from 1
};

}  // namespace lateral
