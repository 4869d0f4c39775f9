// DataSet: the samples of a data format, and the table of formats.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/table.hpp"
#include "nodes/data/sample_array.hpp"

namespace lateral {

/// Size of one sample, and of its target.
struct ImageShape {
  int channels = 0;
  int height = 0;
  int width = 0;
  int classes = 0;        ///< with labels as targets
  int target_values = 0;  ///< with numbers as targets
  int pixels() const { return channels * height * width; }
};

/// The samples of one part of a data set, in file order: either bytes in memory, or numbers that
/// an array holds.
struct Samples {
  /// Values channel by channel, row by row, one byte each (0…255): count · shape.pixels().
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint32_t> labels;  ///< count, each < shape.classes; empty without classes
  std::shared_ptr<const SampleArray> array = {};
  std::vector<std::uint32_t> rows = {};  ///< the row of each sample in `array`
  std::vector<float> targets = {};       ///< count · shape.target_values
  std::size_t count() const { return array ? rows.size() : labels.size(); }
};

struct DataSet {
  ImageShape shape;
  /// Normalisation per channel, or per value of a sample:
  /// (value / unit − mean) / standard_deviation. Empty: computed from the training samples, as
  /// BatchParams says.
  std::vector<double> mean, standard_deviation;
  Samples train, test;
  double unit = 255;  ///< for formats of images: bytes become values from 0 to 1
};

/// Constants of a normalisation: one for each channel, or one for each value of a sample.
struct Normalization {
  std::vector<float> mean, standard_deviation;
};

/// What is known of a data set before its values are read.
struct DataDescription {
  ImageShape shape;
  std::size_t train_samples = 0, test_samples = 0;
  std::vector<std::string> class_names;  ///< of users' files: the label of each class
  bool has_bytes = false;                ///< of users' files: their inputs are unsigned bytes
  std::size_t value_bytes = 1;           ///< that a value takes in memory
};

/// The settings of built-in data; a format read from files ignores them.
/// With these defaults decorrelation visibly speeds up learning: see
/// nodes/data/format/generated.cpp.
struct GeneratedParams {
  std::uint64_t seed = 0;
  int train_samples = 10000;
  int test_samples = 2000;
  int size = 24;             ///< height and width in pixels
  double noise = 14.0;       ///< standard deviation of the background relative to the class pattern
  int inputs = 16;           ///< gaussian
  double correlation = 0.9;  ///< gaussian: of neighbouring inputs
};

/// The settings of users' files; a format of a published or built-in data set ignores them.
struct FileParams {
  std::string train, test;                  ///< paths; without `test`, a part of `train` is drawn
  std::string train_targets, test_targets;  ///< files of their own, for formats of one array a file
  std::string input_name = "x";
  std::vector<std::string> target_names = {"y"};
  double test_fraction = 0.2;
  int image_size = 64;             ///< height and width of images, in pixels
  std::size_t buffer_samples = 0;  ///< > 0: samples stay in the file, this many in memory
  enum class Targets { none, labels, values } targets = Targets::labels;
  /// The label of each class, of the description; empty: not known yet.
  std::vector<std::string> class_names;
};

/// All settings of a data format.
struct DataParams {
  std::filesystem::path root;  ///< the folder given by --data
  std::uint64_t seed = 0;      ///< of the experiment
  GeneratedParams generated;
  FileParams files;
};

/// A data format, one file of nodes/data/format/.
class DataFormat {
 public:
  virtual ~DataFormat() = default;
  /// Whether it reads the files that the experiment names (data.train, …).
  virtual bool reads_files() const { return false; }
  /// Which of these settings of data it uses, besides those of all users' files: input_name,
  /// target_name; train_targets and test_targets, for targets in files of their own;
  /// buffer_samples, for arrays that stay in their file; image_size. All others are refused.
  virtual std::vector<std::string_view> file_settings() const { return {}; }
  bool uses(std::string_view setting) const {
    const std::vector<std::string_view> settings = file_settings();
    return std::find(settings.begin(), settings.end(), setting) != settings.end();
  }
  /// Formats that do not read the files of the experiment know it without reading any; numbers of
  /// samples are then those of the official files, or upper bounds. Throws UserError.
  virtual DataDescription describe(const DataParams& params) const = 0;
  /// Throws UserError: one line that names the file, the place and what was expected.
  virtual DataSet load(const DataParams& params) const = 0;
};

using MakeDataFormat = std::unique_ptr<DataFormat>();

/// Every file of nodes/data/format/, by name.
std::span<const TableEntry<MakeDataFormat>> data_format_table();

}  // namespace lateral
