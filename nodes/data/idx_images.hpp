// Data sets in the files of MNIST: images and labels in IDX containers, raw or gzipped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "nodes/data/dataset.hpp"

namespace lateral {

/// Height and width of the images of all these data sets.
constexpr int idx_image_side = 28;

/// What distinguishes a data set from the others in the same files.
struct IdxImageSet {
  std::string name;                  ///< for messages: "MNIST"
  std::vector<std::string> folders;  ///< below --data; the first that has the training images
  /// The files are PREFIX-images-idx3-ubyte and PREFIX-labels-idx1-ubyte, raw or .gz.
  std::string train_prefix = "train", test_prefix = "t10k";
  int classes = 10;
  int first_label = 0;      ///< the label of class 0
  bool transposed = false;  ///< images are stored column by column
  double mean = 0, standard_deviation = 1;
  std::size_t train_samples = 60000, test_samples = 10000;  ///< in the official files
};

/// The content of a file, and its name for messages.
struct NamedBytes {
  std::string file;
  std::vector<std::uint8_t> bytes;
};

/// Upright images and their classes (from 0) out of the bytes of two IDX files; a pure function of
/// the bytes. Throws UserError.
Samples parse_idx_images(NamedBytes images, const NamedBytes& labels, const IdxImageSet& set);

/// The data format that reads `set`.
std::unique_ptr<DataFormat> make_idx_format(IdxImageSet set);

/// One of the six splits of EMNIST: "letters", "balanced", …; `set` has what differs between them.
std::unique_ptr<DataFormat> make_emnist_format(std::string_view split, IdxImageSet set);

}  // namespace lateral
