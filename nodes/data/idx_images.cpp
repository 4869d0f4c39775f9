// Reading data sets in the files of MNIST.
#include "nodes/data/idx_images.hpp"

#include <fmt/format.h>

#include <utility>

#include "nodes/data/files.hpp"
#include "nodes/data/idx.hpp"

namespace lateral {
namespace {

/// Limit for one file, packed or unpacked; the largest, the training images of EMNIST's byclass,
/// unpacks to 547 million bytes.
constexpr std::size_t file_bytes_max = std::size_t{1} << 30U;

constexpr std::size_t image_bytes = std::size_t{idx_image_side} * idx_image_side;

std::filesystem::path packed_name(const std::filesystem::path& raw) { return raw.string() + ".gz"; }

NamedBytes read_raw_or_gz(const std::filesystem::path& raw, std::string_view expected) {
  const std::filesystem::path packed = packed_name(raw);
  // If both exist, the raw file is read, which needs no unpacking; if neither does, the message
  // names the raw one.
  if (std::filesystem::exists(raw) || !std::filesystem::exists(packed))
    return {raw.string(),
            read_data_file(raw, file_bytes_max, fmt::format("{} (or the same as .gz)", expected))};
  return {packed.string(), gunzip(read_data_file(packed, file_bytes_max, expected), packed.string(),
                                  file_bytes_max)};
}

void expect_dimensions(const IdxArray& array, std::size_t n_dimensions, std::string_view file) {
  if (array.dimensions.size() != n_dimensions)
    refuse_data(file, 3, fmt::format("{} dimensions", array.dimensions.size()),
                fmt::to_string(n_dimensions));
}

void transpose_images(std::vector<std::uint8_t>& pixels) {
  constexpr std::size_t side = idx_image_side;
  for (std::size_t image = 0; image < pixels.size(); image += image_bytes)
    for (std::size_t y = 0; y < side; ++y)
      for (std::size_t x = 0; x < y; ++x)
        std::swap(pixels[image + y * side + x], pixels[image + x * side + y]);
}

class IdxFormat final : public DataFormat {
 public:
  explicit IdxFormat(IdxImageSet set) : set_{std::move(set)} {}

  DataDescription describe(const DataParams&) const override {
    return {{1, idx_image_side, idx_image_side, set_.classes},
            set_.train_samples,
            set_.test_samples,
            {}};
  }

  DataSet load(const DataParams& params) const override {
    const std::filesystem::path folder = find_folder(params.root);
    DataSet data;
    data.shape = describe(params).shape;
    data.mean = {set_.mean};
    data.standard_deviation = {set_.standard_deviation};
    data.train = load_part(folder, set_.train_prefix);
    data.test = load_part(folder, set_.test_prefix);
    return data;
  }

 private:
  /// Where no folder has the training images, the message of their absence names the first.
  std::filesystem::path find_folder(const std::filesystem::path& root) const {
    for (const std::string& name : set_.folders) {
      const std::filesystem::path images =
          data_path(root, name) / (set_.train_prefix + "-images-idx3-ubyte");
      if (std::filesystem::exists(images) || std::filesystem::exists(packed_name(images)))
        return root / name;
    }
    return data_path(root, set_.folders.front());
  }

  Samples load_part(const std::filesystem::path& folder, const std::string& prefix) const {
    NamedBytes images = read_raw_or_gz(folder / (prefix + "-images-idx3-ubyte"),
                                       set_.name + " images in IDX format");
    const NamedBytes labels = read_raw_or_gz(folder / (prefix + "-labels-idx1-ubyte"),
                                             set_.name + " labels in IDX format");
    return parse_idx_images(std::move(images), labels, set_);
  }

  IdxImageSet set_;
};

}  // namespace

Samples parse_idx_images(NamedBytes images, const NamedBytes& labels, const IdxImageSet& set) {
  const IdxArray image_array = parse_idx(images.bytes, images.file);
  expect_dimensions(image_array, 3, images.file);
  const std::size_t count = image_array.dimensions[0];
  if (count == 0) refuse_data(images.file, 4, "0 images", "at least one");
  if (image_array.dimensions[1] != idx_image_side || image_array.dimensions[2] != idx_image_side)
    refuse_data(
        images.file, 8,
        fmt::format("images of {} × {}", image_array.dimensions[1], image_array.dimensions[2]),
        fmt::format("{0} × {0}", idx_image_side));

  const IdxArray label_array = parse_idx(labels.bytes, labels.file);
  expect_dimensions(label_array, 1, labels.file);
  if (label_array.dimensions[0] != count)
    refuse_data(labels.file, 4, fmt::format("{} labels", label_array.dimensions[0]),
                fmt::format("{}, as many as there are images in {}", count, images.file));

  Samples result;
  result.labels.reserve(count);
  const int last_label = set.first_label + set.classes - 1;
  for (std::size_t i = 0; i < count; ++i) {
    const int label = label_array.values[i];
    if (label < set.first_label || label > last_label)
      refuse_data(labels.file, label_array.values_offset + i, fmt::format("label {}", label),
                  fmt::format("{} to {}", set.first_label, last_label));
    result.labels.push_back(static_cast<std::uint32_t>(label - set.first_label));
  }

  // The bytes of the file become the pixels: a copy of them would double the memory.
  result.pixels = std::move(images.bytes);
  result.pixels.erase(
      result.pixels.begin(),
      result.pixels.begin() + static_cast<std::ptrdiff_t>(image_array.values_offset));
  if (set.transposed) transpose_images(result.pixels);
  return result;
}

std::unique_ptr<DataFormat> make_idx_format(IdxImageSet set) {
  return std::make_unique<IdxFormat>(std::move(set));
}

std::unique_ptr<DataFormat> make_emnist_format(std::string_view split, IdxImageSet set) {
  set.name = fmt::format("EMNIST {}", split);
  // As one unpacks the official gzip.zip, and as torchvision does.
  set.folders = {"emnist", "emnist/gzip", "EMNIST/raw"};
  set.train_prefix = fmt::format("emnist-{}-train", split);
  set.test_prefix = fmt::format("emnist-{}-test", split);
  set.transposed = true;
  return make_idx_format(std::move(set));
}

}  // namespace lateral
