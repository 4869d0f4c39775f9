// DataSet: labelled images of a data format, and the table of formats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/table.hpp"

namespace lateral {

/// Size of one image and number of classes.
struct ImageShape {
  int channels = 0;
  int height = 0;
  int width = 0;
  int classes = 0;
  int pixels() const { return channels * height * width; }
};

/// Images in file order: pixels channel by channel, row by row, one byte each (0…255).
struct Images {
  std::vector<std::uint8_t> pixels;  // count · shape.pixels()
  std::vector<std::uint8_t> labels;  // count, each < shape.classes
  std::size_t count() const { return labels.size(); }
};

struct DataSet {
  ImageShape shape;
  /// Normalisation per channel: value = (byte / 255 − mean) / standard_deviation.
  std::vector<double> mean, standard_deviation;
  Images train, test;
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

/// A data format, one file of nodes/data/format/: its shape without reading data, and its reader.
class DataFormat {
 public:
  virtual ~DataFormat() = default;
  virtual ImageShape shape(const GeneratedParams& params) const = 0;
  /// `root` is the folder given by --data. Throws UserError: one line that names the file, the
  /// offset and what was expected.
  virtual DataSet load(const std::filesystem::path& root, const GeneratedParams& params) const = 0;
  /// Training and test samples together, for estimates: as load() returns them, or the number in
  /// the official files.
  virtual std::size_t samples(const GeneratedParams& params) const = 0;
  /// The training samples among them, or an upper bound.
  virtual std::size_t train_samples(const GeneratedParams& params) const = 0;
};

using MakeDataFormat = std::unique_ptr<DataFormat>();

/// Every file of nodes/data/format/, by name.
std::span<const TableEntry<MakeDataFormat>> data_format_table();

}  // namespace lateral
