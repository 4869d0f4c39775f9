// Readers of arrays: the same arrays, written by NumPy and h5py in every form, are read equal.
#include <cstdlib>
#include <functional>

#include "nodes/data/reader/csv.hpp"
#include "nodes/data/reader/hdf5_array.hpp"
#include "nodes/data/reader/npy.hpp"
#include "nodes/data/reader/npz.hpp"
#include "tests/nodes/data/data_fixtures.hpp"

using namespace lateral;
using namespace lateral::testing;

namespace {

constexpr std::size_t samples = 7, row = 6;
const std::vector<std::string> label_numbers{"3", "0", "2", "2", "1", "0", "12"};
const std::vector<std::string> label_texts{"a", "bc", "ä", "東京", "a", "bc", "e f"};

/// The files of write_arrays.py; nothing if Python lacks NumPy or h5py.
class WrittenArrays {
 public:
  WrittenArrays() {
    const std::string command = std::string("/usr/bin/python3 -c 'import h5py' 2>/dev/null");
    if (std::system(command.c_str()) != 0) return;
    written_ = true;
    const std::string write = std::string("/usr/bin/python3 '") + LATERAL_ARRAY_WRITER + "' '" +
                              folder_.path().string() + "'";
    REQUIRE(std::system(write.c_str()) == 0);
  }
  explicit operator bool() const { return written_; }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  std::vector<std::filesystem::path> files(const std::string& end) const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator{folder_.path()})
      if (entry.path().string().ends_with(end)) found.push_back(entry.path());
    REQUIRE(!found.empty());
    return found;
  }

 private:
  DataFolder folder_;
  bool written_ = false;
};

const WrittenArrays& arrays() {
  static const WrittenArrays written;
  return written;
}

float expected(std::size_t i) { return (static_cast<float>(i) - 20) / 4; }

/// All rows at once and in parts.
void check_values(const SampleArray& array, float scale = 1) {
  INFO(array.origin());
  REQUIRE(array.samples() == samples);
  REQUIRE(array.row_values() == row);
  for (const std::size_t first : {0U, 1U, 5U})
    for (const std::size_t count : {0U, 1U, 2U}) {
      std::vector<float> values(count * row);
      array.read(first, count, values.data());
      for (std::size_t i = 0; i < values.size(); ++i)
        CHECK(values[i] == scale * expected(first * row + i));
    }
  std::vector<float> all(samples * row);
  array.read(0, samples, all.data());
  for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i] == scale * expected(i));
  CHECK(contains(refusal_of([&] { array.read(5, 3, all.data()); }), "has 7 samples"));
}

void check_labels(const SampleArray& array, const std::vector<std::string>& labels) {
  INFO(array.origin());
  REQUIRE(array.samples() == samples);
  CHECK(array.row_values() == 1);
  CHECK(array.read_labels(0, samples) == labels);
  CHECK(array.read_labels(2, 3) ==
        std::vector<std::string>(labels.begin() + 2, labels.begin() + 5));
}

std::string hdf5_refusal(const std::string& name) {
  return refusal_of([&] { open_hdf5(arrays().path("a.h5"), name); });
}

}  // namespace

#define NEEDS_ARRAYS                                      \
  if (!arrays()) {                                        \
    MESSAGE("skipped: needs /usr/bin/python3 with h5py"); \
    return;                                               \
  }

TEST_CASE("NPY files of every order, byte order and type are read equal") {
  NEEDS_ARRAYS
  for (const auto& file : arrays().files(".x.npy")) {
    const auto array = open_npy(file);
    CHECK(array->shape() == std::vector<std::size_t>{7, 2, 3});
    CHECK(array->kind() == ElementKind::real);
    check_values(*array);
  }
  for (const auto& file : arrays().files(".quarters.npy")) {
    CHECK(open_npy(file)->kind() == ElementKind::integer);
    check_values(*open_npy(file), 4);
  }
  for (const auto& file : arrays().files(".y.npy")) check_labels(*open_npy(file), label_numbers);
  for (const auto& file : arrays().files(".text.npy")) {
    CHECK(open_npy(file)->kind() == ElementKind::text);
    check_labels(*open_npy(file), label_texts);
  }
  CHECK(open_npy(arrays().path("0u1.y.npy"))->kind() == ElementKind::unsigned_byte);
  CHECK(open_npy(arrays().path("truth.npy"))->kind() == ElementKind::integer);
  CHECK(open_npy(arrays().path("truth.npy"))->read_labels(0, 2) ==
        std::vector<std::string>{"1", "0"});
}

TEST_CASE("NPY files of Python objects, structures and complex numbers are refused") {
  NEEDS_ARRAYS
  const auto refusal = [](const char* name) {
    return refusal_of([&] { open_npy(arrays().path(name)); });
  };
  CHECK(contains(refusal("object.npy"), "Python objects (dtype object), which are never executed"));
  CHECK(contains(refusal("structure.npy"), "found a structure of several values"));
  CHECK(contains(refusal("complex.npy"), "found values of type '<c16'"));
  CHECK(contains(refusal_of([] { open_npz(arrays().path("object.npz"), "x"); }), "never executed"));
}

TEST_CASE("NPZ files, stored and deflated, are read equal") {
  NEEDS_ARRAYS
  for (const char* name : {"stored.npz", "deflated.npz"}) {
    const auto file = arrays().path(name);
    check_values(*open_npz(file, "x"));
    check_values(*open_npz(file, "x_fortran"));
    check_labels(*open_npz(file, "y"), label_numbers);
    check_labels(*open_npz(file, "text"), label_texts);
    CHECK(open_npz(file, "x")->origin() == file.string() + ": x");
    CHECK(refusal_of([&] { open_npz(file, "z"); }) ==
          file.string() + ": has no array 'z', expected one of: text, x, x_fortran, y");
  }
}

TEST_CASE("HDF5 data sets of every layout, filter and type are read equal") {
  NEEDS_ARRAYS
  const auto file = arrays().path("a.h5");
  for (const char* how : {"plain", "chunked", "growing", "gzip", "all"})
    for (const char* kind : {"<f2", "<f4", ">f4", "<f8", ">f8"}) {
      const auto array = open_hdf5(file, std::string("x/") + how + "/" + kind);
      CHECK(array->shape() == std::vector<std::size_t>{7, 2, 3});
      CHECK(array->kind() == ElementKind::real);
      check_values(*array);
    }
  for (const char* kind : {"i1", "u1", ">i2", "<i4", ">i8", "<u8", "<f4", "chunked"})
    check_labels(*open_hdf5(file, std::string("y/") + kind), label_numbers);
  for (const char* kind : {"variable", "fixed", "bytes"}) {
    CHECK(open_hdf5(file, std::string("text/") + kind)->kind() == ElementKind::text);
    check_labels(*open_hdf5(file, std::string("text/") + kind), label_texts);
  }
  CHECK(open_hdf5(file, "y/u1")->kind() == ElementKind::unsigned_byte);
  CHECK(open_hdf5(file, "y/<f4")->kind() == ElementKind::real);
  CHECK(open_hdf5(file, "truth")->kind() == ElementKind::integer);
  CHECK(open_hdf5(file, "truth")->read_labels(0, 2) == std::vector<std::string>{"1", "0"});
  float value = 0;
  CHECK(contains(refusal_of([&] { open_hdf5(file, "text/fixed")->read(1, 1, &value); }),
                 ": text/fixed: row 1, column 0 is text, expected a number"));
}

TEST_CASE("HDF5 data sets that are not plain arrays of this file are refused") {
  NEEDS_ARRAYS
  CHECK(contains(hdf5_refusal("refused/single value"), "a single value, expected an array"));
  CHECK(contains(hdf5_refusal("refused/empty"), "has no values (shape (0, 3))"));
  CHECK(contains(hdf5_refusal("refused/never written"), "were never written"));
  CHECK(contains(hdf5_refusal("refused/partly written"), "1 of 4 chunks were written"));
  CHECK(contains(hdf5_refusal("refused/huge"), "declares 4503599627370496 bytes"));
  CHECK(contains(hdf5_refusal("refused/compound"), "holds a compound type"));
  CHECK(contains(hdf5_refusal("refused/complex"), "holds a compound type"));
  CHECK(contains(hdf5_refusal("refused/lists"), "holds lists of variable length"));
  CHECK(contains(hdf5_refusal("refused/lzf"), "is packed by the filter 32000 (lzf)"));
  CHECK(contains(hdf5_refusal("refused/other file"), "has its values in another file"));
  CHECK(contains(hdf5_refusal("refused/virtual"), "is a virtual data set"));
  CHECK(contains(hdf5_refusal("refused/link"), "has no data set 'refused/link' of its own"));
  CHECK(contains(hdf5_refusal("refused"), "'refused' is not a data set, expected one of: "));
  CHECK(contains(hdf5_refusal("z"), "has no data set 'z' of its own, expected one of: "));
  CHECK(contains(refusal_of([] { open_hdf5(arrays().path("unclosed.h5"), "x"); }),
                 "was opened for writing and not closed"));
  const auto one = arrays().path("b.h5");
  CHECK(refusal_of([&] { open_hdf5(one, "z"); }) ==
        one.string() + ": has no data set 'z' of its own, expected one of: x");
}

TEST_CASE("CSV files of every form are read equal") {
  NEEDS_ARRAYS
  for (const auto& file : arrays().files(".csv")) {
    const CsvArrays csv = open_csv(file, {"y"}, true);
    CHECK(csv.inputs->shape() == std::vector<std::size_t>{7, 6});
    CHECK(csv.inputs->kind() == ElementKind::real);
    CHECK(csv.targets->kind() == ElementKind::text);
    check_values(*csv.inputs);
    check_labels(*csv.targets, label_texts);
  }
}
