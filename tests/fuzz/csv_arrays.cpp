// Fuzz target: CSV tables of samples.
#include "nodes/data/reader/csv.hpp"
#include "tests/fuzz/array.hpp"

namespace lateral::fuzz {

std::vector<std::string> seeds() {
  return {"a,b,y\n1,0.5,2\n2,-1e3,7\n",
          "\xEF\xBB\xBF"
          "a;\"b \"\"c\"\"\";y\r\n1;2;u v\r\n\r\n3;4;\"w\nx\"",
          "1\t2\t3\n4\t5\t6\n", "0,1,2\n+1,.5,nan\n"};
}

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  static fuzz::MemoryFile file;
  file.write(data, size);
  for (const bool are_labels : {true, false})
    fuzz::accepts([&] {
      const CsvArrays csv = open_csv(file.path(), {"y"}, are_labels);
      fuzz::check_property(csv.inputs->samples() == csv.targets->samples(),
                           "a target for each sample");
      fuzz::check_array(*csv.inputs, size);
      fuzz::check_array(*csv.targets, size);
    });
  return 0;
}
