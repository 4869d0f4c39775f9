// Fuzz target: CSV tables.
#include "nodes/base/csv.hpp"

#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {

std::vector<std::string> seeds() {
  return {"a,b\n1,0.5\n2,nan\n", "b,c,a\r\n-inf,\"x, \"\"y\"\"\",3\r\n\n1e9,\"two\nlines\",4\n"};
}

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  static fuzz::MemoryFile file, copy;
  file.write(data, size);
  std::string text = csv_line({"a", "b"});
  std::vector<std::string> fields;
  fuzz::accepts([&] {
    CsvReader table{file.path(), {"a", "b"}};
    while (table.next_row()) {
      for (const std::size_t column : {0u, 1u}) fields.push_back(table.text(column));
      text += csv_line({table.text(0), table.text(1)});
      fuzz::accepts([&] { table.integer(0); });
      fuzz::accepts([&] { table.number(1); });
    }
  });
  copy.write(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  CsvReader table{copy.path(), {"a", "b"}};
  auto field = fields.begin();
  while (table.next_row())
    for (const std::size_t column : {0u, 1u})
      fuzz::check_property(field != fields.end() && table.text(column) == *field++,
                           "fields are preserved");
  fuzz::check_property(field == fields.end(), "rows are preserved");
  return 0;
}
