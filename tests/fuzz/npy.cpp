// Fuzz target: NPY files, their headers and values.
#include "nodes/data/reader/npy.hpp"

#include "tests/fuzz/array.hpp"
#include "tests/nodes/data/reader/npy_bytes.hpp"

namespace lateral::fuzz {

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  const auto add = [&](const std::string& header, std::size_t bytes) {
    const std::vector<std::uint8_t> npy =
        testing::npy_bytes(header, std::vector<std::uint8_t>(bytes, 'a'));
    all.emplace_back(npy.begin(), npy.end());
  };
  add("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24);
  add("{'descr': '>f8', 'fortran_order': True, 'shape': (2, 3), }", 48);
  add("{'descr': '<f2', 'fortran_order': True, 'shape': (2, 1, 3), }", 12);
  add("{'descr': '<U2', 'fortran_order': False, 'shape': (3,), }", 24);
  add("{'descr': '|S3', 'fortran_order': False, 'shape': (3, 1), }", 9);
  add("{'descr': '>i8', 'fortran_order': False, 'shape': (2,), }", 16);
  add("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 40);
  add("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 8);
  return all;
}

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  static fuzz::MemoryFile file;
  file.write(data, size);
  fuzz::accepts([&] { fuzz::check_array(*open_npy(file.path()), size); });
  return 0;
}
