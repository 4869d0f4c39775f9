// Reading and writing the cache of decoded images.
#include "nodes/data/image_cache.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/check.hpp"
#include "nodes/base/digest.hpp"
#include "nodes/base/disk.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/data/image_folder.hpp"

namespace lateral {
namespace {

constexpr std::string_view format_name = "lateral images 1";

/// Changes when the same files are decoded into other pixels.
constexpr int decoding_version = 1;

std::string_view text_of(const std::vector<std::uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string header_of(const std::string& key, std::string_view pixels) {
  std::string header{format_name};
  header += key;
  header += sha256(pixels);
  LATERAL_CHECK(header.size() == ImageCache::header_bytes);
  return header;
}

void remove_header(std::vector<std::uint8_t>& content) {
  content.erase(content.begin(),
                content.begin() + static_cast<std::ptrdiff_t>(ImageCache::header_bytes));
}

}  // namespace

std::string image_cache_key(const std::vector<ImageFile>& files, int size, int channels) {
  Sha256 digest;
  digest.add(fmt::format("version {} size {} channels {} files {}\n", decoding_version, size,
                         channels, files.size()));
  for (const ImageFile& file : files) {
    digest.add(
        fmt::format("{} {} {} {} ", file.label, file.bytes, file.modified, file.name.size()));
    digest.add(file.name);
  }
  return digest.finish();
}

ImageCache::ImageCache(std::filesystem::path file, std::string key, std::size_t pixel_bytes)
    : file_{std::move(file)}, key_{std::move(key)}, pixel_bytes_{pixel_bytes} {}

bool ImageCache::read(std::vector<std::uint8_t>& pixels) {
  std::error_code ignored;
  if (file_.empty() || !std::filesystem::exists(file_, ignored)) return false;
  const auto refuse = [&](std::string_view reason) {
    pixels.clear();
    warning_ = fmt::format("{}; the images are decoded again", reason);
    return false;
  };
  try {
    pixels = read_bytes(file_, image_folder_bytes_max + header_bytes, "cache of images");
  } catch (const UserError& error) {
    return refuse(error.what());
  }
  if (pixels.size() < header_bytes || !text_of(pixels).starts_with(format_name))
    return refuse(file_.string() + ": not a cache of images");
  if (text_of(pixels).substr(format_name.size(), key_.size()) != key_) {
    pixels.clear();  // of other images, or of these before they changed
    return false;
  }
  if (pixels.size() != header_bytes + pixel_bytes_ ||
      text_of(pixels).substr(0, header_bytes) !=
          header_of(key_, text_of(pixels).substr(header_bytes)))
    return refuse(file_.string() + ": damaged cache of images");
  remove_header(pixels);
  return true;
}

void ImageCache::write(std::vector<std::uint8_t>& content) {
  LATERAL_CHECK(content.size() == header_bytes + pixel_bytes_);
  if (!file_.empty()) {
    const std::string header = header_of(key_, text_of(content).substr(header_bytes));
    std::copy(header.begin(), header.end(), content.begin());
    // Several runs may write the same cache at once, each under a name of its own at first.
    const std::filesystem::path own = fmt::format("{}.{}", file_.string(), ::getpid());
    try {
      write_atomically(own, text_of(content));
      real_disk().rename(own, file_);
    } catch (const UserError& error) {
      std::error_code ignored;
      std::filesystem::remove(own, ignored);
      warning_ = fmt::format("{}; the images are decoded again in the next run", error.what());
    }
  }
  remove_header(content);
}

}  // namespace lateral
