// Users' HDF5 files: data sets by name for inputs and targets.
#include "nodes/data/file_format.hpp"
#include "nodes/data/reader/hdf5_array.hpp"

namespace lateral::data_format {
namespace {

class Hdf5 final : public FileFormat {
  FileArrays open(const std::filesystem::path& file, const std::filesystem::path&,
                  const FileParams& params) const override {
    FileArrays arrays{open_hdf5(file, params.input_name), nullptr};
    if (params.targets != FileParams::Targets::none)
      arrays.targets = open_hdf5(file, only_target_name(params));
    return arrays;
  }
  bool arrays_stay_in_file() const override { return true; }
};

}  // namespace

std::unique_ptr<DataFormat> hdf5() { return std::make_unique<Hdf5>(); }

}  // namespace lateral::data_format
