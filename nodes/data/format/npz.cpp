// Users' NPZ files: NumPy's archives of arrays, the inputs and targets by name.
#include "nodes/data/reader/npz.hpp"

#include "nodes/data/file_format.hpp"

namespace lateral::data_format {
namespace {

class Npz final : public FileFormat {
  std::vector<std::string_view> file_settings() const override {
    return {"input_name", "target_name"};
  }
  FileArrays open(const std::filesystem::path& file, const std::filesystem::path&,
                  const FileParams& params) const override {
    FileArrays arrays{open_npz(file, params.input_name), nullptr};
    if (params.targets != FileParams::Targets::none)
      arrays.targets = open_npz(file, only_target_name(params));
    return arrays;
  }
};

}  // namespace

std::unique_ptr<DataFormat> npz() { return std::make_unique<Npz>(); }

}  // namespace lateral::data_format
