// MNIST as published: mnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte, raw or .gz.
#include <fmt/format.h>

#include <string>

#include "nodes/data/dataset.hpp"
#include "nodes/data/files.hpp"
#include "nodes/data/idx.hpp"

namespace lateral::data_format {
namespace {

constexpr int side = 28;
constexpr int n_classes = 10;

/// Limit for one file, packed or unpacked; the largest of MNIST unpacks to 47 million bytes.
constexpr std::size_t file_bytes_max = std::size_t{256} << 20U;

struct Content {
  std::string file;  // the one that was read, raw or .gz
  std::vector<std::uint8_t> bytes;
};

Content read_raw_or_gz(const std::filesystem::path& raw, std::string_view expected) {
  const std::filesystem::path packed = raw.string() + ".gz";
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

Images load_part(const std::filesystem::path& folder, const std::string& part) {
  const Content image_content =
      read_raw_or_gz(folder / (part + "-images-idx3-ubyte"), "MNIST images in IDX format");
  const IdxArray images = parse_idx(image_content.bytes, image_content.file);
  expect_dimensions(images, 3, image_content.file);
  if (images.dimensions[0] == 0) refuse_data(image_content.file, 4, "0 images", "at least one");
  if (images.dimensions[1] != side || images.dimensions[2] != side)
    refuse_data(image_content.file, 8,
                fmt::format("images of {} × {}", images.dimensions[1], images.dimensions[2]),
                "28 × 28");

  const Content label_content =
      read_raw_or_gz(folder / (part + "-labels-idx1-ubyte"), "MNIST labels in IDX format");
  const IdxArray labels = parse_idx(label_content.bytes, label_content.file);
  expect_dimensions(labels, 1, label_content.file);
  if (labels.dimensions[0] != images.dimensions[0])
    refuse_data(label_content.file, 4, fmt::format("{} labels", labels.dimensions[0]),
                fmt::format("{}, as many as there are images in {}", images.dimensions[0],
                            image_content.file));
  for (std::size_t i = 0; i < labels.values.size(); ++i)
    if (labels.values[i] >= n_classes)
      refuse_data(label_content.file, labels.values_offset + i,
                  fmt::format("label {}", labels.values[i]), "0 to 9");

  return {{images.values.begin(), images.values.end()},
          {labels.values.begin(), labels.values.end()}};
}

class Mnist final : public DataFormat {
 public:
  std::size_t samples(const GeneratedParams&) const override { return 70000; }
  std::size_t train_samples(const GeneratedParams&) const override { return 60000; }
  ImageShape shape(const GeneratedParams&) const override { return {1, side, side, n_classes}; }

  DataSet load(const std::filesystem::path& root, const GeneratedParams& params) const override {
    const std::filesystem::path folder = data_path(root, "mnist");
    return {
        shape(params), {0.1307}, {0.3081}, load_part(folder, "train"), load_part(folder, "t10k")};
  }
};

}  // namespace

std::unique_ptr<DataFormat> mnist() { return std::make_unique<Mnist>(); }

}  // namespace lateral::data_format
