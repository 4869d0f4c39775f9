// Fuzz target: NPZ archives.
#include "nodes/data/reader/npz.hpp"

#include <zip.h>

#include "tests/fuzz/array.hpp"
#include "tests/nodes/data/reader/npy_bytes.hpp"

namespace lateral::fuzz {
namespace {

std::string archive_of(const std::vector<std::uint8_t>& npy, std::int32_t method) {
  return written_by([&](const std::string& file) {
    zip_t* archive = zip_open(file.c_str(), ZIP_CREATE, nullptr);
    for (const char* name : {"x.npy", "y.npy"}) {
      const auto index =
          zip_file_add(archive, name, zip_source_buffer(archive, npy.data(), npy.size(), 0), 0);
      zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), method, 0);
    }
    zip_close(archive);
  });
}

}  // namespace

std::vector<std::string> seeds() {
  const auto values =
      testing::npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
                         std::vector<std::uint8_t>(24, 'a'));
  const auto objects =
      testing::npy_bytes("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
                         {0x80, 3, 'c', 'o', 's', '\n', 's', 'y', 's', 't',  'e', 'm', '\n',
                          'X',  4, 0,   0,   0,   't',  'r', 'u', 'e', 0x85, 'R', '.'});
  return {archive_of(values, ZIP_CM_STORE), archive_of(values, ZIP_CM_DEFLATE),
          archive_of(objects, ZIP_CM_STORE)};
}

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  constexpr std::size_t deflate_ratio_max = 1032;
  static fuzz::MemoryFile file;
  file.write(data, size);
  fuzz::accepts(
      [&] { fuzz::check_array(*open_npz(file.path(), "x"), (size + 1) * deflate_ratio_max); });
  return 0;
}
