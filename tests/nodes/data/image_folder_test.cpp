// Folders of images: what is found in which order, decoding in parallel, the cache, and refusals.
#include "nodes/data/image_folder.hpp"

#include <fmt/format.h>

#include <chrono>

#include "nodes/base/file.hpp"
#include "nodes/data/image_cache.hpp"
#include "tests/nodes/data/data_fixtures.hpp"
#include "tests/support/encode_image.hpp"

using namespace lateral;
using namespace lateral::testing;

namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;
using Labels = std::vector<std::uint32_t>;

Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

/// A grey PNG of one value.
Bytes grey_png(std::uint8_t value, int side = 2) {
  PngOptions options;
  options.color_type = PNG_COLOR_TYPE_GRAY;
  const auto count = static_cast<std::size_t>(side) * static_cast<std::size_t>(side);
  return bytes_of(png_of(side, side, Bytes(count, value), options));
}

/// Classes "B", "a" and "ä" (in the order of bytes) with 2, 3 and 1 images.
struct SmallFolder : DataFolder {
  SmallFolder() {
    write("a/2.png", grey_png(30));
    write("a/10.PNG", grey_png(20));
    write("a/deeper/1.png", grey_png(40));
    write("ä/x.png", grey_png(50));
    write("B/y.png", grey_png(11));
    write("B/x.png", grey_png(10));
    write("B/notes.txt", {'n'});
    write("B/.hidden.png", {'n'});
    write("README.md", {'n'});
  }
  ImageFolder load(unsigned threads = 1, const fs::path& cache = {}) const {
    return load_image_folder(path(), 1, 1, threads, cache);
  }
  std::string refusal() const {
    return refusal_of([&] { load(); });
  }
};

std::string name_of(const fs::path& folder, const std::string& file) {
  return (folder / file).string();
}

}  // namespace

TEST_CASE("images are found class by class and sorted by name") {
  const SmallFolder folder;
  const ImageFiles found = find_images(folder.path());
  CHECK(found.classes == Names{"B", "a", "ä"});
  Names names;
  for (const ImageFile& file : found.files) names.push_back(file.name);
  CHECK(names == Names{"B/x.png", "B/y.png", "a/10.PNG", "a/2.png", "a/deeper/1.png", "ä/x.png"});
  CHECK(found.files[0].bytes == grey_png(10).size());

  const ImageFolder loaded = folder.load();
  CHECK(loaded.classes == found.classes);
  CHECK(loaded.labels == Labels{0, 0, 1, 1, 1, 2});
  CHECK(loaded.pixels == Bytes{10, 11, 20, 30, 40, 50});
  CHECK(loaded.warning.empty());
}

TEST_CASE("images are resized and stored channel by channel") {
  const DataFolder folder;
  folder.write("c/1.png", bytes_of(png_of(2, 1, {1, 2, 3, 1, 2, 3})));
  folder.write("c/2.png", grey_png(9, 5));
  const ImageFolder loaded = load_image_folder(folder.path(), 2, 3, 1, {});
  CHECK(loaded.pixels ==
        Bytes{1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9});
}

TEST_CASE("the layout of Tiny ImageNet is read, training and validation") {
  const DataFolder folder;
  folder.write("train/n02/images/n02_0.JPEG", bytes_of(jpeg_of(2, 2, Bytes(12, 200))));
  folder.write("train/n02/n02_boxes.txt", {'x'});
  folder.write("train/n01/images/n01_1.JPEG", bytes_of(jpeg_of(2, 2, Bytes(12, 100))));
  folder.write("train/n01/images/n01_0.JPEG", bytes_of(jpeg_of(2, 2, Bytes(12, 50))));
  folder.write("val/images/val_0.JPEG", bytes_of(jpeg_of(2, 2, Bytes(12, 10))));
  folder.write("val/images/val_1.JPEG", bytes_of(jpeg_of(2, 2, Bytes(12, 20))));
  folder.write("val/images/val_10.JPEG", bytes_of(jpeg_of(2, 2, Bytes(12, 30))));
  folder.write("val/val_annotations.txt",
               bytes_of("val_1.JPEG\tn01\t0\t0\t63\t63\r\nval_0.JPEG\tn02\t1\t2\t3\t4\n"
                        "val_10.JPEG\tn01\n\n"));

  const ImageFolder train = load_image_folder(folder.path() / "train", 1, 1, 2, {});
  CHECK(train.classes == Names{"n01", "n02"});
  CHECK(train.labels == Labels{0, 0, 1});
  CHECK(train.pixels == Bytes{50, 100, 200});
  const ImageFolder validation = load_image_folder(folder.path() / "val", 1, 1, 2, {});
  CHECK(validation.classes == Names{"n01", "n02"});
  CHECK(validation.labels == Labels{0, 0, 1});
  CHECK(validation.pixels == Bytes{20, 30, 10});

  // A line without its image, an image without its line.
  const std::string list = name_of(folder.path(), "val/val_annotations.txt");
  folder.write("val/images/val_3.JPEG", {1});
  CHECK(refusal_of([&] { find_images(folder.path() / "val"); }) ==
        name_of(folder.path(), "val/images/val_3.JPEG") + ": not in " + list +
            ", expected a line with its class");
  fs::remove(folder.path() / "val/images/val_3.JPEG");
  fs::remove(folder.path() / "val/images/val_10.JPEG");
  CHECK(refusal_of([&] { find_images(folder.path() / "val"); }) ==
        name_of(folder.path(), "val/images") + ": 2 images, expected 3 as in " + list);
}

TEST_CASE("annotations are checked line by line") {
  const auto refusal = [](std::string_view text) {
    return refusal_of([&] { parse_image_annotations(text, "F"); });
  };
  CHECK(refusal("") == "F: no line, expected one an image");
  CHECK(refusal("a.JPEG\tn01\nb.JPEG\n") == "F: line 2: expected a file, a tab and a class");
  CHECK(refusal("a.JPEG\t\t0") == "F: line 1: expected a file, a tab and a class");
  CHECK(refusal("\tn01") == "F: line 1: expected a file, a tab and a class");
  CHECK(refusal("a\tx\nb\tx\na\ty") == "F: a is listed twice");
}

TEST_CASE("the number of threads changes neither the result nor the error") {
  const DataFolder folder;
  for (int i = 0; i < 60; ++i)
    folder.write(fmt::format("c{}/{}.png", i % 7, i),
                 grey_png(static_cast<std::uint8_t>(i * 4), 1 + i % 5));
  const ImageFolder one = load_image_folder(folder.path(), 3, 1, 1, {});
  CHECK(one.labels.size() == 60);
  for (const unsigned threads : {2U, 5U, 100U})
    CHECK(load_image_folder(folder.path(), 3, 1, threads, {}).pixels == one.pixels);

  // Three damaged images in a row. With a thread each, the last is refused first, then the first,
  // then the second, whose pixels are all decoded before its end is found missing.
  const auto without_end = [](int side) {
    Bytes bytes = grey_png(0, side);
    bytes.pop_back();
    return bytes;
  };
  folder.write("c2/1.png", without_end(1000));
  folder.write("c2/2.png", without_end(2500));
  folder.write("c2/23.png", {'n', 'o'});
  for (const unsigned threads : {1U, 3U, 16U})
    for (int repetition = 0; repetition < 5; ++repetition)
      CHECK(refusal_of([&] { load_image_folder(folder.path(), 3, 1, threads, {}); }) ==
            name_of(folder.path(), "c2/1.png") + ": damaged PNG image: the file is truncated");
}

TEST_CASE("folders that are not one folder a class are refused") {
  const SmallFolder folder;
  folder.write("loose.jpg", {1});
  CHECK(folder.refusal() == name_of(folder.path(), "loose.jpg") +
                                ": an image outside of the class folders of " +
                                folder.path().string());
  fs::remove(folder.path() / "loose.jpg");
  folder.write("a/photo.WebP", {1});
  CHECK(folder.refusal() ==
        name_of(folder.path(), "a/photo.WebP") + ": expected a JPEG or PNG image");
  fs::remove(folder.path() / "a/photo.WebP");
  fs::create_directory(folder.path() / "empty");
  CHECK(folder.refusal() ==
        name_of(folder.path(), "empty") + ": no image, expected at least one JPEG or PNG file");
  fs::remove(folder.path() / "empty");
  CHECK(folder.refusal().empty());

  const DataFolder empty;
  CHECK(refusal_of([&] { find_images(empty.path()); }) ==
        empty.path().string() + ": no folder in it, expected one a class");
  CHECK(refusal_of([&] { find_images(empty.path() / "none"); }) ==
        name_of(empty.path(), "none") + ": not found, expected a folder of images");
  CHECK(refusal_of([&] { find_images(folder.path() / "README.md"); }) ==
        name_of(folder.path(), "README.md") + ": not a folder, expected a folder of images");
  folder.write("a/1/2/3/4/5/6/7/8/x.png", grey_png(1));
  CHECK(contains(folder.refusal(), "a/1/2/3/4/5/6/7/8: expected at most 8 folders within each"));
  fs::remove_all(folder.path() / "a/1");
  fs::create_directory_symlink(folder.path() / "a", folder.path() / "a/loop");
  CHECK(contains(folder.refusal(), "expected at most 8 folders within each other"));
}

TEST_CASE("the cache is read instead of the images, and only if it is theirs") {
  const SmallFolder folder;
  const DataFolder other;
  const fs::path cache = other.path() / "cache";
  const ImageFolder first = folder.load(1, cache);
  CHECK(first.warning.empty());
  CHECK(fs::file_size(cache) == ImageCache::header_bytes + 6);
  CHECK(std::distance(fs::directory_iterator{other.path()}, {}) == 1);

  // Other pixels behind the same name, size and time: they come from the cache.
  const fs::path file = folder.path() / "a/2.png";
  const auto time = fs::last_write_time(file);
  const Bytes other_png = grey_png(31);
  REQUIRE(other_png.size() == grey_png(30).size());
  folder.write("a/2.png", other_png);
  fs::last_write_time(file, time);
  CHECK(folder.load(1, cache).pixels == first.pixels);

  // Another time: another key, so the images are decoded and the cache is replaced.
  fs::last_write_time(file, time + std::chrono::seconds{1});
  CHECK(folder.load(1, cache).pixels == Bytes{10, 11, 20, 31, 40, 50});
  CHECK(folder.load(1, cache).pixels == Bytes{10, 11, 20, 31, 40, 50});
  // Other sizes, channels and classes are other keys too.
  CHECK(load_image_folder(folder.path(), 2, 1, 1, cache).pixels.size() == 24);
  CHECK(load_image_folder(folder.path(), 1, 3, 1, cache).pixels.size() == 18);
  fs::rename(folder.path() / "ä", folder.path() / "A");
  CHECK(load_image_folder(folder.path(), 1, 3, 1, cache).pixels[0] == 50);
}

TEST_CASE("a damaged cache is rebuilt with a warning") {
  const SmallFolder folder;
  const DataFolder other;
  const fs::path cache = other.path() / "cache";
  const Bytes pixels = folder.load(1, cache).pixels;
  const Bytes good = read_bytes(cache, 1000, "cache");
  const std::string rebuilt = "; the images are decoded again";
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes changed = good;
    changed[at] ^= 1U;
    other.write("cache", changed);
    const ImageFolder loaded = folder.load(1, cache);
    CHECK(loaded.pixels == pixels);
    const bool is_key = at >= 16 && at < 48;  // a cache of other images, as far as one can see
    CHECK(loaded.warning == (is_key    ? ""
                             : at < 16 ? cache.string() + ": not a cache of images" + rebuilt
                                       : cache.string() + ": damaged cache of images" + rebuilt));
    CHECK(read_bytes(cache, 1000, "cache") == good);
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{79}, good.size() - 1}) {
    other.write("cache", {good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)});
    const ImageFolder loaded = folder.load(1, cache);
    CHECK(loaded.pixels == pixels);
    CHECK(contains(loaded.warning, rebuilt));
    CHECK(folder.load(1, cache).warning.empty());
  }
}

TEST_CASE("a cache that cannot be written is a warning") {
  const SmallFolder folder;
  const fs::path cache = folder.path() / "README.md" / "cache";
  const ImageFolder loaded = folder.load(1, cache);
  CHECK(loaded.pixels == Bytes{10, 11, 20, 30, 40, 50});
  CHECK(contains(loaded.warning, "cannot be written"));
  CHECK(is_one_line(loaded.warning));
}

TEST_CASE("the real Tiny ImageNet of 20 classes is read") {
  const auto root = real_data();
  if (!root || !fs::exists(*root / "tiny-imagenet-20")) {
    MESSAGE("skipped: no tiny-imagenet-20 in LATERAL_DATA");
    return;
  }
  const ImageFolder validation = load_image_folder(*root / "tiny-imagenet-20/val", 64, 3, 2, {});
  CHECK(validation.classes == find_images(*root / "tiny-imagenet-20/train").classes);
  CHECK(validation.classes.size() == 20);
  CHECK(validation.labels.size() == 1000);
  CHECK(validation.pixels.size() == std::size_t{1000} * 3 * 64 * 64);
}
