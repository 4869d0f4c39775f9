// NPZ: archives that contradict themselves are refused.
#include "nodes/data/reader/npz.hpp"

#include <zip.h>

#include "nodes/base/file.hpp"
#include "tests/nodes/data/data_fixtures.hpp"
#include "tests/nodes/data/reader/npy_bytes.hpp"

using namespace lateral;
using namespace lateral::testing;

namespace {

const Bytes small = npy_bytes("{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}", {1, 2, 3});

/// An archive of members with this content, made by libzip.
struct ZipMember {
  std::string name;
  Bytes content;
  int method = ZIP_CM_DEFLATE;
  bool encrypted = false;
};

std::filesystem::path write_zip(const DataFolder& folder, const std::vector<ZipMember>& members) {
  const std::filesystem::path file = folder.path() / "a.npz";
  std::filesystem::remove(file);
  zip_t* archive = zip_open(file.c_str(), ZIP_CREATE, nullptr);
  REQUIRE(archive != nullptr);
  for (const ZipMember& member : members) {
    zip_source_t* source =
        zip_source_buffer(archive, member.content.data(), member.content.size(), 0);
    const auto index = zip_file_add(archive, member.name.c_str(), source, 0);
    REQUIRE(index >= 0);
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), member.method, 0);
    if (member.encrypted)
      zip_file_set_encryption(archive, static_cast<zip_uint64_t>(index), ZIP_EM_AES_128, "p");
  }
  REQUIRE(zip_close(archive) == 0);
  return file;
}

std::string refusal(const std::filesystem::path& file, const std::string& name = "x") {
  return refusal_of([&] { open_npz(file, name); });
}

/// Replaces a text wherever it is in a file.
void replace_all(const std::filesystem::path& file, const std::string& from,
                 const std::string& to) {
  std::string bytes = read_file(file, 1 << 20, "archive");
  std::size_t replaced = 0;
  for (std::size_t at = bytes.find(from); at != bytes.npos; at = bytes.find(from, at + 1)) {
    bytes.replace(at, from.size(), to);
    ++replaced;
  }
  REQUIRE(replaced > 0);
  std::ofstream{file, std::ios::binary} << bytes;
}

std::string little_endian(std::size_t value) {
  std::string bytes(4, '\0');
  for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  return bytes;
}

}  // namespace

TEST_CASE("an array of an NPZ archive is read") {
  const DataFolder folder;
  const auto file = write_zip(folder, {{"x.npy", small}, {"y.npy", small, ZIP_CM_STORE}});
  for (const char* name : {"x", "y"}) {
    const auto array = open_npz(file, name);
    CHECK(array->kind() == ElementKind::unsigned_byte);
    std::vector<float> values(3);
    array->read(0, 3, values.data());
    CHECK(values == std::vector<float>{1, 2, 3});
  }
}

TEST_CASE("an NPZ archive without the name lists the names that there are, at most ten") {
  const DataFolder folder;
  std::vector<ZipMember> members;
  for (char c = 'a'; c < 'l'; ++c) members.push_back({std::string(1, c) + ".npy", small});
  const auto file = write_zip(folder, members);
  CHECK(refusal(file) == file.string() +
                             ": has no array 'x', expected one of: a, b, c, d, e, f, g, h, i, j … "
                             "(11 in all)");
}

TEST_CASE("NPZ archives that are encrypted, doubled or packed otherwise are refused") {
  const DataFolder folder;
  CHECK(contains(refusal(write_zip(folder, {{"x.npy", small, ZIP_CM_DEFLATE, true}})),
                 "is encrypted"));
  auto file = write_zip(folder, {{"x.npy", small}, {"z.npy", small}});
  replace_all(file, "z.npy", "x.npy");
  CHECK(refusal(file) == file.string() + ": contains a name twice, expected each once");
  CHECK(contains(refusal(write_zip(folder, {{"x.npy", Bytes(100), ZIP_CM_BZIP2}})),
                 "compressed by ZIP method 12, expected stored or deflated"));
  CHECK(contains(refusal(write_zip(folder, {{"x.npy", Bytes{'x'}}})), "expected the magic number"));
}

TEST_CASE("NPZ archives with lying sizes or changed values are refused") {
  const DataFolder folder;
  const std::size_t size = small.size();
  // The size unpacked is declared in the member and in the directory.
  for (const std::size_t lie : {size - 1, size + 1, std::size_t{0xF0000000}}) {
    const auto file = write_zip(folder, {{"x.npy", small}});
    replace_all(file, little_endian(size), little_endian(lie));
    INFO(lie);
    CHECK(is_one_line(refusal(file)));
  }
  Bytes long_array =
      npy_bytes("{'descr': '|u1', 'fortran_order': False, 'shape': (100000,)}", Bytes(100'000, 7));
  auto file = write_zip(folder, {{"x.npy", long_array}});
  replace_all(file, little_endian(long_array.size()), little_endian(0x70000000));
  CHECK(contains(refusal(file), "declares 1879048192 bytes unpacked from "));
  file = write_zip(folder, {{"x.npy", small, ZIP_CM_STORE}});
  replace_all(file, "\1\2\3", "\1\2\4");
  CHECK(contains(refusal(file), "cannot be unpacked: CRC error"));
}

TEST_CASE("a shortened NPZ archive is refused") {
  const DataFolder folder;
  const auto file = write_zip(folder, {{"x.npy", small}});
  const std::string good = read_file(file, 1 << 20, "archive");
  for (std::size_t n = 0; n < good.size(); n += 7) {
    std::ofstream{file, std::ios::binary} << good.substr(0, n);
    CHECK(contains(refusal(file), "not a complete ZIP archive"));
  }
}
