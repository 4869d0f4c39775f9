// CSV: a table of samples, a row each; some columns are targets, all others inputs.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "nodes/data/sample_array.hpp"

namespace lateral {

constexpr std::size_t csv_columns_max = std::size_t{1} << 20;
/// A row, with the line breaks in its quotes.
constexpr std::size_t csv_row_bytes_max = std::size_t{1} << 24;

struct CsvArrays {
  std::unique_ptr<SampleArray> inputs;   ///< (samples, columns that are not targets), real
  std::unique_ptr<SampleArray> targets;  ///< (samples) for one column, (samples, columns) for more
};

/// Reads a file into memory, as float32 (each number rounded correctly, whatever the locale),
/// labels as text.
/// - UTF-8 with or without byte order mark; lines end with LF or CRLF, the last one also without;
///   empty lines are skipped; quotes as in RFC 4180; spaces around a field do not count.
/// - The delimiter is a tab if the first line has one outside quotes, else a semicolon if it has
///   one, else a comma.
/// - The first line is a header if one of its fields is the name of a target column (unless that
///   name is a number), if none of its fields is a number, or if the numbers in it are those of
///   their columns: 0,1,2,label. Its names must be there, and differ. Without a header columns are
///   named "0", "1", …, and the target "y" means the last column.
/// - Without `target_columns` all columns are inputs, and there are no targets.
/// - Labels: one target column. If all are whole numbers ("7", also "7.0"), kind() is integer,
///   otherwise text. Targets that are not labels: numbers in `target_columns`' order.
/// Throws UserError, one line with the line and the column: for a missing value (an empty field,
/// NA, N/A, NaN or ?), for what is not a finite number in float32, for a row with another number of
/// fields, and for a target column that is not there.
CsvArrays open_csv(const std::filesystem::path& file,
                   const std::vector<std::string>& target_columns, bool targets_are_labels);

}  // namespace lateral
