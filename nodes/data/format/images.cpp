// Users' folders of JPEG and PNG images, a folder for each class.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "nodes/base/digest.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/data/file_format.hpp"
#include "nodes/data/image_folder.hpp"

namespace lateral::data_format {
namespace {

constexpr std::size_t colours = 3;

/// The file below $XDG_CACHE_HOME or ~/.cache that keeps the decoded images of a folder; empty if
/// neither is known.
std::filesystem::path cache_file(const std::filesystem::path& folder, int size) {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  const char* const home = std::getenv("HOME");
  std::filesystem::path root;
  if (cache != nullptr && *cache != '\0')
    root = cache;
  else if (home != nullptr && *home != '\0')
    root = std::filesystem::path(home) / ".cache";
  else
    return {};
  const std::string name =
      std::filesystem::absolute(folder).lexically_normal().string() + " " + std::to_string(size);
  std::error_code ignored;
  std::filesystem::create_directories(root / "lateral", ignored);
  return root / "lateral" / (to_hex(sha256(name)) + ".images");
}

/// The images of a folder; they are decoded when their values are read for the first time.
class ImageArray final : public SampleArray {
 public:
  ImageArray(std::filesystem::path folder, std::size_t count, int size)
      : folder_{std::move(folder)},
        size_{size},
        shape_{count, colours, static_cast<std::size_t>(size), static_cast<std::size_t>(size)},
        origin_{folder_.string()} {}
  const std::vector<std::size_t>& shape() const override { return shape_; }
  ElementKind kind() const override { return ElementKind::unsigned_byte; }
  const std::string& origin() const override { return origin_; }
  void read(std::size_t first, std::size_t count, float* out) const override {
    if (pixels_.empty()) decode();
    std::copy_n(pixels_.begin() + static_cast<std::ptrdiff_t>(first * row_values()),
                count * row_values(), out);
  }
  std::vector<std::string> read_labels(std::size_t, std::size_t) const override { return {}; }

 private:
  void decode() const {
    ImageFolder folder = load_image_folder(folder_, size_, colours,
                                           std::max(1U, std::thread::hardware_concurrency()),
                                           cache_file(folder_, size_));
    if (!folder.warning.empty())  // in the log of the source
      std::cerr << fmt::format("lateral: {}\n", one_line(folder.warning));
    pixels_ = std::move(folder.pixels);
    if (pixels_.size() != shape_[0] * row_values())
      throw UserError(origin_ + ": has changed while it was read");
  }

  std::filesystem::path folder_;
  int size_;
  std::vector<std::size_t> shape_;
  std::string origin_;
  mutable std::vector<std::uint8_t> pixels_;
};

class ClassArray final : public SampleArray {
 public:
  ClassArray(ImageFiles files, std::string origin)
      : files_{std::move(files)}, shape_{files_.files.size()}, origin_{std::move(origin)} {}
  const std::vector<std::size_t>& shape() const override { return shape_; }
  ElementKind kind() const override { return ElementKind::text; }
  const std::string& origin() const override { return origin_; }
  void read(std::size_t, std::size_t, float*) const override {
    throw UserError(origin_ + ": classes of images, expected data.target: label");
  }
  std::vector<std::string> read_labels(std::size_t first, std::size_t count) const override {
    std::vector<std::string> labels;
    for (std::size_t i = first; i < first + count; ++i)
      labels.push_back(files_.classes[files_.files[i].label]);
    return labels;
  }

 private:
  ImageFiles files_;
  std::vector<std::size_t> shape_;
  std::string origin_;
};

class ImageFolders final : public FileFormat {
  std::vector<std::string_view> file_settings() const override { return {"image_size"}; }
  FileArrays open(const std::filesystem::path& folder, const std::filesystem::path&,
                  const FileParams& params) const override {
    ImageFiles files = find_images(folder);
    const std::size_t count = files.files.size();
    return {std::make_shared<ImageArray>(folder, count, params.image_size),
            std::make_shared<ClassArray>(std::move(files), folder.string())};
  }
};

}  // namespace

std::unique_ptr<DataFormat> images() { return std::make_unique<ImageFolders>(); }

}  // namespace lateral::data_format
