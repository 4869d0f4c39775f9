// ImageCache: decoded images in one file, keyed by what they were decoded from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lateral {

struct ImageFile;

/// SHA-256 of the files' names, sizes, times and labels, of size and channels, and of the version
/// of the decoding.
std::string image_cache_key(const std::vector<ImageFile>& files, int size, int channels);

/// A cache file is 16 bytes that name its format, its key, a SHA-256 of the pixels, and the pixels.
/// No error of reading or writing it is an error of the program: the images can be decoded again.
class ImageCache {
 public:
  static constexpr std::size_t header_bytes = 80;

  /// An empty `file`: nothing is read or written.
  ImageCache(std::filesystem::path file, std::string key, std::size_t pixel_bytes);

  /// False if there is no such file, it is damaged, or it has another key; `pixels` is then empty.
  bool read(std::vector<std::uint8_t>& pixels);
  /// Fills in the header of `content`, whose first header_bytes are free, writes it atomically, and
  /// removes the header. So no second copy of the pixels is needed.
  void write(std::vector<std::uint8_t>& content);
  /// One line about a damaged file or one that cannot be written; empty if all went well.
  const std::string& warning() const { return warning_; }

 private:
  std::filesystem::path file_;
  std::string key_;
  std::size_t pixel_bytes_;
  std::string warning_;
};

}  // namespace lateral
