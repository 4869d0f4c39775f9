// Users' NPY files: NumPy arrays, the inputs and the targets each in a file.
#include "nodes/data/reader/npy.hpp"

#include "nodes/data/file_format.hpp"

namespace lateral::data_format {
namespace {

class Npy final : public FileFormat {
  std::vector<std::string_view> file_settings() const override {
    return {"train_targets", "test_targets", "buffer_samples"};
  }
  FileArrays open(const std::filesystem::path& file, const std::filesystem::path& targets_file,
                  const FileParams& params) const override {
    FileArrays arrays{open_npy(file), nullptr};
    if (params.targets != FileParams::Targets::none) arrays.targets = open_npy(targets_file);
    return arrays;
  }
};

}  // namespace

std::unique_ptr<DataFormat> npy() { return std::make_unique<Npy>(); }

}  // namespace lateral::data_format
