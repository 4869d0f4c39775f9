// Folders of images, one folder a class: found, decoded in parallel, and cached in one file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lateral {

constexpr std::size_t image_file_bytes_max = std::size_t{256} << 20U;
/// Limits of a folder: the number of images, of folders within each other, and of classes.
constexpr std::size_t image_files_max = 4'000'000;
constexpr int image_folder_depth_max = 8;
constexpr std::size_t image_classes_max = 65536;
/// The most bytes that the resized images of a folder may have.
constexpr std::size_t image_folder_bytes_max = std::size_t{1} << 37U;
constexpr std::size_t annotation_bytes_max = std::size_t{64} << 20U;

struct ImageFile {
  std::string name;  ///< relative to the folder
  std::uint32_t label = 0;
  std::uintmax_t bytes = 0;
  std::int64_t modified = 0;  ///< in the file system's unit
};

/// The images of a folder, class by class, and within a class by name; names are compared byte by
/// byte.
struct ImageFiles {
  std::vector<std::string> classes;  ///< sorted; a label is a position in it
  std::vector<ImageFile> files;
};

/// Finds the images without reading them. Either each sub-folder is a class, with all images in it
/// and in its sub-folders; or `folder` is the validation part of Tiny ImageNet: images/ and
/// val_annotations.txt, which names the class of each. Images are files that end in .jpg, .jpeg or
/// .png, upper or lower case; hidden files are left out, other kinds of images are refused.
/// Throws UserError.
ImageFiles find_images(const std::filesystem::path& folder);

struct ImageFolder {
  std::vector<std::string> classes;
  std::vector<std::uint8_t> pixels;   ///< image by image, channel by channel, row by row
  std::vector<std::uint32_t> labels;  ///< one an image
  /// One line if the cache was damaged or could not be written, which does not change the result.
  std::string warning;
};

/// All images of `folder` in the order of find_images(), each `size` × `size` (resize_and_crop())
/// with `channels` channels. Decoded by `threads` threads, whose number does not change the result.
///   cache: a file that keeps the pixels, keyed by a digest of names, sizes and times of the files,
///     size and channels; read instead of the images if it fits them, written otherwise. Empty: no
///     cache.
/// Throws UserError: for a damaged image one line with its file, the first in order.
/// REQUIRES: 1 ≤ size ≤ resized_side_max, channels 1 or 3, threads > 0.
ImageFolder load_image_folder(const std::filesystem::path& folder, int size, int channels,
                              unsigned threads, const std::filesystem::path& cache);

/// A line of val_annotations.txt: the file, and its class.
struct ImageAnnotation {
  std::string file, class_name;
};

/// The lines of val_annotations.txt sorted by file: fields separated by tabs, the first two being
/// file and class. A pure function; `file` only names the text in messages. Throws UserError.
std::vector<ImageAnnotation> parse_image_annotations(std::string_view text, std::string_view file);

}  // namespace lateral
