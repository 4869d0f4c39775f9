// Fuzz target: arrays of HDF5 files.
#include "nodes/data/reader/hdf5_array.hpp"

#include "nodes/base/hdf5.hpp"
#include "tests/fuzz/array.hpp"

namespace lateral::fuzz {
namespace {

/// A file with the data set x, of 4 rows of 2 values; in chunks of 2 rows if `filters` is not null.
std::string numbers(hid_t type, void (*filters)(hid_t properties)) {
  return written_by([&](const std::string& path) {
    const hdf5::Handle file = hdf5::create_file(path);
    const hsize_t extents[] = {4, 2}, chunk[] = {2, 2};
    const hdf5::Handle space = hdf5::simple_space(extents);
    const hdf5::Handle properties{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
    if (filters != nullptr) {
      H5Pset_chunk(properties, 2, chunk);
      filters(properties);
    }
    const hdf5::Handle set{H5Dcreate2(file, "x", type, space, H5P_DEFAULT, properties, H5P_DEFAULT),
                           H5Dclose};
    const double values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
  });
}

std::string texts(std::size_t size) {
  return written_by([&](const std::string& path) {
    const hdf5::Handle file = hdf5::create_file(path);
    const hsize_t extents[] = {2};
    const hdf5::Handle space = hdf5::simple_space(extents);
    const hdf5::Handle type{H5Tcopy(H5T_C_S1), H5Tclose};
    H5Tset_size(type, size);
    const hdf5::Handle set{
        H5Dcreate2(file, "x", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose};
    const char fixed[] = "ab\0cde";
    const char* const variable[] = {"ab", "cde"};
    const void* const values = size == H5T_VARIABLE ? static_cast<const void*>(variable) : fixed;
    H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
  });
}

}  // namespace

std::vector<std::string> seeds() {
  hdf5::initialize();
  return {numbers(H5T_IEEE_F32LE, nullptr), numbers(H5T_STD_I16BE, [](hid_t) {}),
          numbers(H5T_IEEE_F64LE,
                  [](hid_t properties) {
                    H5Pset_shuffle(properties);
                    H5Pset_deflate(properties, 6);
                    H5Pset_fletcher32(properties);
                  }),
          texts(3), texts(H5T_VARIABLE)};
}

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  constexpr std::size_t deflate_ratio_max = 1032;
  static fuzz::MemoryFile file;
  file.write(data, size);
  fuzz::accepts([&] { fuzz::check_array(*open_hdf5(file.path(), "x"), size * deflate_ratio_max); });
  return 0;
}
