// CSV tables: written fields are read unchanged, columns are found by name, errors name the
// position.
#include "nodes/base/csv.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>

#include "nodes/base/failure.hpp"

namespace lateral {
namespace {

/// A file that exists while the test runs.
struct File {
  explicit File(const std::string& content) { std::ofstream{path, std::ios::binary} << content; }
  ~File() { std::filesystem::remove(path); }
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("lateral-csv-" + std::to_string(::getpid()));
};

/// The error message without the name of the file.
template <class Use>
std::string refusal_of(const std::string& content, Use&& use) {
  const File file{content};
  try {
    CsvReader table{file.path, {"epoch", "loss"}};
    while (table.next_row()) use(table);
  } catch (const UserError& error) {
    const std::string text = error.what();
    REQUIRE(text.starts_with(file.path.string() + ":"));
    return text.substr(file.path.string().size() + 1);
  }
  return "accepted";
}
std::string refusal_of(const std::string& content) {
  return refusal_of(content, [](const CsvReader& row) { row.integer(0), row.number(1); });
}

TEST_CASE("fields with commas, quotes and line breaks are read as they were written") {
  const std::vector<std::string> fields{"plain", "", "a, b", "say \"x\"", "two\nlines", "\r", "é"};
  const File file{csv_line({"1", "2", "3", "4", "5", "6", "7"}) + csv_line(fields)};
  CsvReader table{file.path, {"1", "2", "3", "4", "5", "6", "7"}};
  REQUIRE(table.next_row());
  for (std::size_t i = 0; i < fields.size(); ++i) CHECK(table.text(i) == fields[i]);
  CHECK_FALSE(table.next_row());
  CHECK(csv_line({"a", "b,c", "\""}) == "a,\"b,c\",\"\"\"\"\n");
}

TEST_CASE("columns are found by their names, in any order and number") {
  const File file{"name,loss,epoch\nx,0.5,1\n\ny,nan,2\r\nz,-inf,18446744073709551615\nlast,1,3"};
  CsvReader table{file.path, {"epoch", "loss"}};
  REQUIRE(table.next_row());
  CHECK(table.integer(0) == 1);
  CHECK(table.number(1) == 0.5);
  REQUIRE(table.next_row());
  CHECK(table.integer(0) == 2);
  CHECK(std::isnan(table.number(1)));
  REQUIRE(table.next_row());
  CHECK(table.integer(0) == 18446744073709551615u);
  CHECK(std::isinf(table.number(1)));
  CHECK_FALSE(table.next_row());  // the last line has no line break
}

TEST_CASE("an error names line, column and value") {
  CHECK(refusal_of("epoch,loss\n1,2\n") == "accepted");
  CHECK(refusal_of("") == " is empty, expected a line with the names of the columns epoch,loss");
  CHECK(refusal_of("epoch;loss\n") == "1: has no column 'epoch', expected the columns epoch,loss");
  CHECK(refusal_of("epoch,loss\n1,2\n3\n") == "3: has 1 fields, expected 2 as in the first line");
  CHECK(refusal_of("epoch,loss\n1,2\n\n-3,4\n") ==
        "4: column 'epoch' is '-3', expected a whole number");
  CHECK(refusal_of("epoch,loss\n1.5,2\n") == "2: column 'epoch' is '1.5', expected a whole number");
  CHECK(refusal_of("epoch,loss\n1,\n") == "2: column 'loss' is '', expected a number");
  CHECK(refusal_of("epoch,loss\n1,2x\n") == "2: column 'loss' is '2x', expected a number");
  CHECK(refusal_of("epoch,loss\n1,\"2\n3,4\n") == "2: begins a quote that does not end");
  CHECK(refusal_of("epoch,loss\n1,\x1b[2J" + std::string(500, 'x') + "\n").size() < 150);
  CHECK_THROWS_AS(CsvReader("/nowhere/table.csv", {"a"}), UserError);
}

}  // namespace
}  // namespace lateral
