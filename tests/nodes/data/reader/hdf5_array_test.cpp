// HDF5 arrays: files that are locked, shortened or changed, and values that are refused.
#include "nodes/data/reader/hdf5_array.hpp"

#include <limits>

#include "nodes/base/file.hpp"
#include "nodes/base/hdf5.hpp"
#include "tests/nodes/data/data_fixtures.hpp"

using namespace lateral;
using namespace lateral::testing;

namespace {

void write_doubles(const std::filesystem::path& path, const std::vector<double>& values) {
  hdf5::initialize();
  const hdf5::Handle file = hdf5::create_file(path);
  const hsize_t extents[] = {values.size() / 2, 2};
  const hdf5::Handle space = hdf5::simple_space(extents);
  const hdf5::Handle set{
      H5Dcreate2(file, "x", H5T_IEEE_F64BE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
      H5Dclose};
  REQUIRE(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
}

std::string refusal(const std::filesystem::path& file) {
  return refusal_of([&] {
    const auto array = open_hdf5(file, "x");
    std::vector<float> values(array->samples() * array->row_values());
    array->read(0, array->samples(), values.data());
  });
}

}  // namespace

TEST_CASE("an HDF5 file that another program has open for writing is said to be that") {
  const DataFolder folder;
  const auto path = folder.path() / "a.h5";
  write_doubles(path, {1, 2});
  CHECK(refusal(path).empty());
  const auto lock = FileLock::try_lock(path);
  REQUIRE(lock);
  CHECK(contains(refusal(path), "another program has it open for writing"));
}

TEST_CASE("files that are not HDF5 are refused with the reason") {
  const DataFolder folder;
  CHECK(contains(refusal(folder.path() / "none.h5"), "none.h5: not found, expected an HDF5 file"));
  CHECK(contains(refusal(folder.write("a.h5", {'x'})), "a.h5: damaged or not an HDF5 file"));
  CHECK(contains(refusal(folder.path()), "not a regular file"));
}

TEST_CASE("values of HDF5 files that are not finite in float32 are refused with row and column") {
  const DataFolder folder;
  const auto path = folder.path() / "a.h5";
  write_doubles(path, {1, 2, 3, std::numeric_limits<double>::quiet_NaN()});
  CHECK(refusal(path) == path.string() +
                             ": x: row 1, column 1 is nan, expected a finite number of at most "
                             "3.4e38 (float32)");
  write_doubles(path, {1, 2, -1e39, 4});
  CHECK(contains(refusal(path), "row 1, column 0 is -1e+39"));
}

TEST_CASE("a shortened HDF5 file is refused") {
  const DataFolder folder;
  const auto path = folder.path() / "a.h5";
  write_doubles(path, std::vector<double>(64, 1));
  const std::string good = read_file(path, 1 << 20, "file");
  for (std::size_t n = 0; n < good.size(); n += 97) {
    std::ofstream{path, std::ios::binary} << good.substr(0, n);
    CHECK(is_one_line(refusal(path)));
  }
}
