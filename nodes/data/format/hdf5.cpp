// Users' HDF5 files: data sets by name for inputs and targets.
#include "nodes/data/file_format.hpp"
#include "nodes/data/reader/hdf5_array.hpp"

namespace lateral::data_format {
namespace {

class Hdf5 final : public FileFormat {
  std::vector<std::string_view> file_settings() const override {
    return {"input_name", "target_name", "buffer_samples"};
  }
  FileArrays open(const std::filesystem::path& file, const std::filesystem::path&,
                  const FileParams& params) const override {
    FileArrays arrays{open_hdf5(file, params.input_name), nullptr};
    if (params.targets != FileParams::Targets::none)
      arrays.targets = open_hdf5(file, only_target_name(params));
    return arrays;
  }
};

}  // namespace

std::unique_ptr<DataFormat> hdf5() { return std::make_unique<Hdf5>(); }

}  // namespace lateral::data_format
