// Users' CSV files: a sample a row, the targets in columns by name.
#include "nodes/data/reader/csv.hpp"

#include "nodes/data/file_format.hpp"

namespace lateral::data_format {
namespace {

class Csv final : public FileFormat {
  std::vector<std::string_view> file_settings() const override { return {"target_name"}; }
  FileArrays open(const std::filesystem::path& file, const std::filesystem::path&,
                  const FileParams& params) const override {
    const bool needs_targets = params.targets != FileParams::Targets::none;
    CsvArrays arrays =
        open_csv(file, needs_targets ? params.target_names : std::vector<std::string>{},
                 params.targets == FileParams::Targets::labels);
    return {std::move(arrays.inputs), std::move(arrays.targets)};
  }
};

}  // namespace

std::unique_ptr<DataFormat> csv() { return std::make_unique<Csv>(); }

}  // namespace lateral::data_format
