// NPY: headers byte by byte, and values that are refused.
#include "nodes/data/reader/npy.hpp"

#include <unistd.h>

#include <array>
#include <bit>
#include <limits>

#include "tests/nodes/data/data_fixtures.hpp"
#include "tests/nodes/data/reader/npy_bytes.hpp"

using namespace lateral;
using namespace lateral::testing;

namespace {

std::string header_refusal(const std::string& header) {
  const Bytes bytes = npy_bytes(header, {});
  return refusal_of([&] { parse_npy_header(bytes, bytes.size(), "F"); });
}

std::string with_shape(const std::string& shape) {
  return "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + "}";
}
std::string with_type(const std::string& type) {
  return "{'descr': " + type + ", 'fortran_order': False, 'shape': (1,)}";
}

template <class Value, std::size_t n>
Bytes bytes_of(const std::array<Value, n>& values) {
  const auto bytes = std::bit_cast<std::array<std::uint8_t, n * sizeof(Value)>>(values);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST_CASE("an NPY header is a Python dictionary in any order and spacing") {
  const Bytes bytes =
      npy_bytes("{ \"shape\":(2L,1,), 'fortran_order':True,'descr':'|u1' }  \n", {5, 6});
  const NpyHeader header = parse_npy_header(bytes, bytes.size(), "F");
  CHECK(header.shape == std::vector<std::size_t>{2, 1});
  CHECK(header.fortran_order);
  CHECK(header.type.bytes == 1);
  CHECK(header.values_offset == bytes.size() - 2);
}

TEST_CASE("wrong NPY headers are refused with the position") {
  CHECK(refusal_of([] { parse_npy_header({}, 0, "F"); }) ==
        "F: at byte 0: found the end of the file, expected the magic number of an NPY file");
  CHECK(contains(header_refusal("x"), "F: at byte 10: found 'x', expected '{'"));
  CHECK(contains(header_refusal("{"), "expected text in quotes"));
  CHECK(contains(header_refusal("{'descr': '<f4'}"),
                 "expected 'descr', 'fortran_order' and 'shape'"));
  CHECK(contains(header_refusal("{'a': 1}"), "found the key 'a'"));
  CHECK(contains(header_refusal("{'descr': '<f4', 'descr': '<f4'}"), "found the key 'descr'"));
  CHECK(contains(header_refusal(with_shape("(1,)") + "x"),
                 "found 'x', expected the end of the header"));
  CHECK(contains(header_refusal(with_shape("(-1,)")), "found '-1,)}', expected a whole number"));
  CHECK(contains(header_refusal(with_shape("(1.5,)")), "expected ')'"));
  CHECK(contains(header_refusal(with_shape("()")), "F: a single value, expected an array"));
  CHECK(contains(header_refusal(with_shape("(0, 3)")), "F: has no values (shape (0, 3))"));
  CHECK(contains(header_refusal(with_shape("(3,)")),
                 "expected 77 bytes for the shape (3,) (truncated)"));
  // 2^32 · 2^32 is 0 in 64 bits.
  CHECK(contains(header_refusal(with_shape("(4294967296, 4294967296)")),
                 "expected an array of at most"));
  CHECK(contains(header_refusal(with_shape("(99999999999999999999,)")), "expected a whole number"));
  std::string many = "(";
  for (int i = 0; i < 33; ++i) many += "1,";
  CHECK(contains(header_refusal(with_shape(many + ")")), "expected at most 32 dimensions"));
  for (const char* type : {"'<f16'", "'<c8'", "'<M8[ns]'", "'|V4'", "'<i3'", "'<f1'", "'f'",
                           "'<U0'", "'<U99999999'", "''"})
    CHECK(contains(header_refusal(with_type(type)), "expected bool, int8 to int64"));
  CHECK(contains(header_refusal(with_type("'|O'")), "never executed"));
  CHECK(
      contains(header_refusal(with_type("[('a', '<f4')]")), "found a structure of several values"));
}

TEST_CASE("every shortened or changed NPY file is read or refused in one line") {
  const Bytes good = npy_bytes(with_shape("(1, 2)"), Bytes(8));
  for (std::size_t n = 0; n < good.size(); ++n)
    CHECK(is_one_line(refusal_of([&] { parse_npy_header({good.data(), n}, n, "F"); })));
  Bytes longer = good;
  longer.push_back(0);
  CHECK(contains(refusal_of([&] { parse_npy_header(longer, longer.size(), "F"); }),
                 "found 1 more bytes"));
  for (std::size_t i = 0; i < good.size(); ++i)
    for (const std::uint8_t value : Bytes{0, 1, 39, 255}) {
      Bytes changed = good;
      changed[i] = value;
      const std::string text = refusal_of([&] { parse_npy_header(changed, changed.size(), "F"); });
      CHECK((text.empty() || is_one_line(text)));
    }
}

TEST_CASE("values of NPY files that are not finite in float32 are refused with row and column") {
  const DataFolder folder;
  const std::string file = (folder.path() / "a.npy").string();
  const auto refusal = [&](const std::string& type, const std::string& order, const Bytes& values) {
    folder.write("a.npy", npy_bytes("{'descr': '" + type + "', 'fortran_order': " + order +
                                        ", 'shape': (2, 2)}",
                                    values));
    std::vector<float> out(2);
    return refusal_of([&] { open_npy(file)->read(1, 1, out.data()); });
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(refusal("<f8", "False", bytes_of(std::array{0., 0., 0., nan})) ==
        file + ": row 1, column 1 is nan, expected a finite number of at most 3.4e38 (float32)");
  CHECK(contains(refusal("<f8", "True", bytes_of(std::array{0., 1e300, 0., 0.})),
                 "row 1, column 0 is 1e+300"));
  CHECK(contains(refusal("<f4", "False", bytes_of(std::array{0.F, 0.F, -1.F / 0.F, 0.F})),
                 "row 1, column 0 is -inf"));
  CHECK(contains(refusal("<f2", "False", {0, 0, 0, 0, 0, 0x7C, 0, 0}), "row 1, column 0 is inf"));
  CHECK(refusal("<f8", "False", bytes_of(std::array{nan, 0., 0., 0.})).empty());
  CHECK(contains(refusal("|S1", "False", {'a', 'b', 'c', 'd'}), "row 1, column 0 is text"));
}

TEST_CASE("rows of NPY files larger than memory are read") {
  constexpr std::size_t rows = std::size_t{1} << 32, columns = 64;  // 1 TiB of zeros, not stored
  const DataFolder folder;
  const Bytes header = npy_bytes(with_shape("(4294967296, 64)"), {});
  const auto file = folder.write("a.npy", header);
  std::error_code too_large_for_disk;
  std::filesystem::resize_file(file, header.size() + rows * columns * sizeof(float),
                               too_large_for_disk);
  if (too_large_for_disk) {
    MESSAGE("skipped: this file system does not allow files of 1 TiB");
    return;
  }
  std::vector<float> values(2 * columns, 1);
  open_npy(file)->read(rows - 2, 2, values.data());
  CHECK(values == std::vector<float>(2 * columns, 0));
}

TEST_CASE("labels of NPY files are whole numbers or Unicode text") {
  const DataFolder folder;
  const auto refusal = [&](const std::string& type, const Bytes& values) {
    const auto file = folder.write(
        "a.npy",
        npy_bytes("{'descr': '" + type + "', 'fortran_order': False, 'shape': (2,)}", values));
    return refusal_of([&] { open_npy(file)->read_labels(0, 2); });
  };
  CHECK(contains(refusal("<f4", bytes_of(std::array{1.F, 1.5F})),
                 "row 1, column 0 is 1.5, expected a whole number as the label"));
  CHECK(contains(refusal("|S1", {'a', 0}), "row 1, column 0 is empty text"));
  CHECK(contains(refusal("<U1", {'a', 0, 0, 0, 0, 0xD8, 0, 0}), "code point 0xd800"));
  CHECK(refusal("<i2", {1, 0, 0xFF, 0xFF}).empty());
  const auto file = folder.write(
      "b.npy", npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", Bytes(16)));
  CHECK(contains(refusal_of([&] { open_npy(file)->read_labels(0, 1); }),
                 "2 values a sample (shape (2, 2)), expected one label a sample"));
}

TEST_CASE("a data file that cannot be opened is refused with the reason") {
  const DataFolder folder;
  const std::string none = (folder.path() / "none.npy").string();
  CHECK(refusal_of([&] { open_npy(none); }) == none + ": not found, expected an NPY file");
  CHECK(contains(refusal_of([&] { open_npy(folder.path()); }),
                 "not a regular file, expected an NPY file"));
  const auto secret = folder.write("secret.npy", npy_bytes(with_shape("(1,)"), Bytes(4)));
  std::filesystem::permissions(secret, std::filesystem::perms::none);
  if (::geteuid() != 0)
    CHECK(refusal_of([&] { open_npy(secret); }) ==
          secret.string() + ": cannot be opened: Permission denied");
  // A file that shrinks while it is open.
  const auto file = folder.write("a.npy", npy_bytes(with_shape("(2, 1)"), Bytes(8)));
  const auto array = open_npy(file);
  std::filesystem::resize_file(file, 72);
  std::vector<float> out(2);
  CHECK(contains(refusal_of([&] { array->read(0, 2, out.data()); }),
                 "ends at byte 72, expected 3 more"));
}
