// FileFormat: what all formats of users' files have in common.
#pragma once

#include <memory>
#include <string>

#include "nodes/data/dataset.hpp"

namespace lateral {

/// The arrays of one part: a sample a row.
struct FileArrays {
  std::shared_ptr<const SampleArray> inputs;
  std::shared_ptr<const SampleArray> targets;  ///< none if the experiment needs none
};

/// The most classes and the most values of a target.
inline constexpr std::size_t classes_max = 65536;
/// The most samples of a file.
inline constexpr std::size_t file_samples_max = 0xffff'fff0;

/// The name of the array of the targets.  Throws UserError unless there is exactly one.
const std::string& only_target_name(const FileParams& params);

/// Finds the classes, draws the test set, and checks that the arrays fit together. A format says
/// only how its arrays are opened.
class FileFormat : public DataFormat {
 public:
  bool reads_files() const final { return true; }
  DataDescription describe(const DataParams& params) const final;
  DataSet load(const DataParams& params) const final;

 private:
  /// Opens a file, and the one of its targets where the format has files of one array.
  ///   file, targets_file: absolute, or relative to the working directory
  virtual FileArrays open(const std::filesystem::path& file,
                          const std::filesystem::path& targets_file,
                          const FileParams& params) const = 0;
  struct Parts {
    FileArrays train, test;  ///< of one file: the same arrays
    std::vector<std::uint32_t> train_rows, test_rows;
  };
  FileArrays open_part(const DataParams& params, const std::string& file,
                       const std::string& targets_file) const;
  Parts open_parts(const DataParams& params) const;
};

}  // namespace lateral
