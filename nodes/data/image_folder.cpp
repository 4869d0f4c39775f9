// Finding and decoding the images of a folder.
#include "nodes/data/image_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <exception>
#include <mutex>
#include <span>
#include <system_error>
#include <thread>

#include "core/check.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/data/decode_image.hpp"
#include "nodes/data/image_cache.hpp"
#include "nodes/data/resize_image.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view annotation_file = "val_annotations.txt";

enum class FileKind { image, unsupported_image, other };

FileKind kind_of(const fs::path& file) {
  std::string extension = file.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  constexpr std::array<std::string_view, 3> images{".jpg", ".jpeg", ".png"};
  constexpr std::array<std::string_view, 7> unsupported{".bmp", ".gif",  ".tif", ".tiff",
                                                        ".ppm", ".webp", ".pgm"};
  const auto is_in = [&](const auto& list) {
    return std::find(list.begin(), list.end(), extension) != list.end();
  };
  return is_in(images)        ? FileKind::image
         : is_in(unsupported) ? FileKind::unsupported_image
                              : FileKind::other;
}

bool is_hidden(const fs::path& file) { return file.filename().string().starts_with("."); }

[[noreturn]] void refuse_folder(const fs::path& folder, const std::error_code& reason) {
  throw UserError(fmt::format("{}: cannot be read: {}", folder.string(), reason.message()));
}

/// What a folder contains, sorted by name, without hidden files.
std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::error_code reason;
  std::vector<fs::directory_entry> entries;
  fs::directory_iterator entry{folder, reason};
  for (; !reason && entry != fs::directory_iterator{}; entry.increment(reason))
    if (!is_hidden(entry->path())) entries.push_back(*entry);
  if (reason) refuse_folder(folder, reason);
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.path().native() < b.path().native(); });
  return entries;
}

void append_file(const fs::path& root, const fs::directory_entry& entry, std::uint32_t label,
                 ImageFiles& found) {
  if (found.files.size() >= image_files_max)
    throw UserError(fmt::format("{}: more than {} images", root.string(), image_files_max));
  std::error_code reason;
  ImageFile file{entry.path().lexically_relative(root).string(), label, entry.file_size(reason), 0};
  if (!reason) file.modified = entry.last_write_time(reason).time_since_epoch().count();
  if (reason)
    throw UserError(fmt::format("{}: cannot be read: {}", entry.path().string(), reason.message()));
  found.files.push_back(std::move(file));
}

/// Appends the images of a class, at any depth, in the order of their folders and names.
void append_class(const fs::path& root, const fs::path& folder, std::uint32_t label, int depth,
                  ImageFiles& found) {
  if (depth > image_folder_depth_max)
    throw UserError(fmt::format("{}: expected at most {} folders within each other",
                                folder.string(), image_folder_depth_max));
  for (const fs::directory_entry& entry : entries_of(folder)) {
    if (std::error_code ignored; entry.is_directory(ignored)) {
      append_class(root, entry.path(), label, depth + 1, found);
      continue;
    }
    const FileKind kind = kind_of(entry.path());
    if (kind == FileKind::unsupported_image)
      throw UserError(fmt::format("{}: expected a JPEG or PNG image", entry.path().string()));
    if (kind == FileKind::image) append_file(root, entry, label, found);
  }
}

ImageFiles find_class_folders(const fs::path& folder) {
  ImageFiles found;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    if (std::error_code ignored; !entry.is_directory(ignored)) {
      if (kind_of(entry.path()) != FileKind::other)
        throw UserError(fmt::format("{}: an image outside of the class folders of {}",
                                    entry.path().string(), folder.string()));
      continue;
    }
    if (found.classes.size() >= image_classes_max)
      throw UserError(fmt::format("{}: more than {} classes", folder.string(), image_classes_max));
    const std::size_t before = found.files.size();
    append_class(folder, entry.path(), static_cast<std::uint32_t>(found.classes.size()), 1, found);
    if (found.files.size() == before)
      throw UserError(fmt::format("{}: no image, expected at least one JPEG or PNG file",
                                  entry.path().string()));
    found.classes.push_back(entry.path().filename().string());
  }
  if (found.classes.empty())
    throw UserError(fmt::format("{}: no folder in it, expected one a class", folder.string()));
  return found;
}

/// The position of `name` in a sorted list in which it is.
std::uint32_t position_of(const std::vector<std::string>& sorted, const std::string& name) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), name);
  LATERAL_CHECK(at != sorted.end());
  return static_cast<std::uint32_t>(at - sorted.begin());
}

ImageFiles find_annotated_images(const fs::path& folder) {
  const fs::path list = folder / annotation_file;
  const std::vector<ImageAnnotation> annotations = parse_image_annotations(
      read_file(list, annotation_bytes_max, "list of images and classes"), list.string());
  ImageFiles found;
  for (const ImageAnnotation& annotation : annotations)
    found.classes.push_back(annotation.class_name);
  std::sort(found.classes.begin(), found.classes.end());
  found.classes.erase(std::unique(found.classes.begin(), found.classes.end()), found.classes.end());
  if (found.classes.size() > image_classes_max)
    throw UserError(fmt::format("{}: more than {} classes", list.string(), image_classes_max));

  append_class(folder, folder / "images", 0, 1, found);
  for (ImageFile& file : found.files) {
    const std::string name = file.name.substr(file.name.find('/') + 1);
    const auto annotation = std::lower_bound(
        annotations.begin(), annotations.end(), name,
        [](const ImageAnnotation& a, const std::string& wanted) { return a.file < wanted; });
    if (annotation == annotations.end() || annotation->file != name)
      throw UserError(fmt::format("{}: not in {}, expected a line with its class",
                                  (folder / file.name).string(), list.string()));
    file.label = position_of(found.classes, annotation->class_name);
  }
  if (found.files.size() != annotations.size())
    throw UserError(fmt::format("{}: {} images, expected {} as in {}", (folder / "images").string(),
                                found.files.size(), annotations.size(), list.string()));
  std::stable_sort(found.files.begin(), found.files.end(),
                   [](const ImageFile& a, const ImageFile& b) { return a.label < b.label; });
  return found;
}

/// Calls `work` with 0 … count - 1, each once, in `threads` threads. If calls throw, the exception
/// of the lowest number is passed on, whatever the number of threads: numbers are given out in
/// order, so all below it are tried as well.
template <class Work>
void for_each_parallel(std::size_t count, unsigned threads, const Work& work) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::size_t failed = count;
  std::exception_ptr exception;
  const auto run = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        next = count;
        const std::lock_guard lock{mutex};
        if (i < failed) {
          failed = i;
          exception = std::current_exception();
        }
      }
    }
  };
  {
    std::vector<std::jthread> helpers;
    try {
      for (unsigned t = 1; t < threads && t < count; ++t) helpers.emplace_back(run);
    } catch (const std::system_error&) {
      // The system has no more threads: the others do the work.
    }
    run();
  }
  if (exception) std::rethrow_exception(exception);
}

void decode_images(const fs::path& folder, const std::vector<ImageFile>& files, int size,
                   int channels, unsigned threads, std::span<std::uint8_t> pixels) {
  const std::size_t image_bytes = pixels.size() / files.size();
  for_each_parallel(files.size(), threads, [&](std::size_t i) {
    const fs::path file = folder / files[i].name;
    const std::vector<std::uint8_t> bytes = read_bytes(file, image_file_bytes_max, "image");
    const Image image =
        with_channels(resize_and_crop(decode_image(bytes, file.string()), size), channels);
    LATERAL_CHECK(image.pixels.size() == image_bytes);
    std::copy(image.pixels.begin(), image.pixels.end(),
              pixels.begin() + static_cast<std::ptrdiff_t>(i * image_bytes));
  });
}

}  // namespace

std::vector<ImageAnnotation> parse_image_annotations(std::string_view text, std::string_view file) {
  std::vector<ImageAnnotation> annotations;
  std::size_t line_number = 0;
  while (!text.empty()) {
    ++line_number;
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::size_t tab = line.find('\t');
    const std::string_view name = line.substr(0, tab);
    std::string_view class_name;
    if (tab != std::string_view::npos) class_name = line.substr(tab + 1);
    class_name = class_name.substr(0, class_name.find('\t'));
    if (name.empty() || class_name.empty())
      throw UserError(
          fmt::format("{}: line {}: expected a file, a tab and a class", file, line_number));
    annotations.push_back({std::string{name}, std::string{class_name}});
  }
  if (annotations.empty()) throw UserError(fmt::format("{}: no line, expected one an image", file));
  std::sort(annotations.begin(), annotations.end(),
            [](const auto& a, const auto& b) { return a.file < b.file; });
  const auto twice =
      std::adjacent_find(annotations.begin(), annotations.end(),
                         [](const auto& a, const auto& b) { return a.file == b.file; });
  if (twice != annotations.end())
    throw UserError(fmt::format("{}: {} is listed twice", file, one_line(twice->file)));
  return annotations;
}

ImageFiles find_images(const fs::path& folder) {
  std::error_code reason;
  if (!fs::exists(folder, reason))
    throw UserError(fmt::format("{}: not found, expected a folder of images", folder.string()));
  if (!fs::is_directory(folder, reason))
    throw UserError(fmt::format("{}: not a folder, expected a folder of images", folder.string()));
  return fs::exists(folder / annotation_file, reason) ? find_annotated_images(folder)
                                                      : find_class_folders(folder);
}

ImageFolder load_image_folder(const fs::path& folder, int size, int channels, unsigned threads,
                              const fs::path& cache) {
  LATERAL_CHECK(size >= 1);
  LATERAL_CHECK(size <= resized_side_max);
  LATERAL_CHECK(channels == 1 || channels == 3);
  LATERAL_CHECK(threads > 0);
  ImageFiles found = find_images(folder);
  ImageFolder loaded;
  loaded.classes = std::move(found.classes);
  for (const ImageFile& file : found.files) loaded.labels.push_back(file.label);

  const std::size_t image_bytes = static_cast<std::size_t>(channels) *
                                  static_cast<std::size_t>(size) * static_cast<std::size_t>(size);
  const std::size_t bytes = found.files.size() * image_bytes;
  if (bytes > image_folder_bytes_max)
    throw UserError(fmt::format("{}: {} images of {} bytes, expected at most {} bytes in all",
                                folder.string(), found.files.size(), image_bytes,
                                image_folder_bytes_max));
  ImageCache cached{cache, image_cache_key(found.files, size, channels), bytes};
  if (!cached.read(loaded.pixels)) {
    loaded.pixels.resize(ImageCache::header_bytes + bytes);
    decode_images(folder, found.files, size, channels, threads,
                  std::span{loaded.pixels}.subspan(ImageCache::header_bytes));
    cached.write(loaded.pixels);
  }
  loaded.warning = cached.warning();
  return loaded;
}

}  // namespace lateral
