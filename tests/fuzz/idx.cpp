// Fuzz target: the IDX files of MNIST.
#include "nodes/data/idx.hpp"

#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {

std::vector<std::string> seeds() {
  using namespace std::string_literals;
  return {"\0\0\b\1\0\0\0\2"s + "ab", "\0\0\b\3\0\0\0\2\0\0\0\1\0\0\0\3"s + "abcdef",
          "\0\0\b\2\xff\xff\xff\xff\0\0\0\0"s};
}

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  IdxArray array;
  if (!fuzz::accepts([&] { array = parse_idx({data, size}, "a"); })) return 0;
  std::size_t values = 1;
  for (const std::size_t extent : array.dimensions) values *= extent;
  fuzz::check_property(values == array.values.size() && array.values_offset + values == size,
                       "the values fill the file according to the header");
  fuzz::check_property(values == 0 || array.values.data() + values == data + size,
                       "the values are within the file");
  return 0;
}
