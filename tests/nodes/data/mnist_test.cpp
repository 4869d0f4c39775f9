// MNIST and IDX: the data read, and the text of every error.
#include <algorithm>
#include <limits>
#include <numeric>

#include "nodes/data/files.hpp"
#include "nodes/data/idx.hpp"
#include "tests/nodes/data/data_fixtures.hpp"

using namespace lateral;
using namespace lateral::testing;

namespace {

constexpr std::size_t image_bytes = 28 * 28;

Bytes image_file(std::uint32_t count) {
  Bytes pixels(count * image_bytes);
  for (std::size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<std::uint8_t>((i * 7 + i / image_bytes) % 256);
  return idx_bytes({count, 28, 28}, pixels);
}

Bytes label_file(const Bytes& labels) {
  return idx_bytes({static_cast<std::uint32_t>(labels.size())}, labels);
}

/// A complete small MNIST: 3 training images, 2 test images.
struct SmallMnist {
  DataFolder folder;
  SmallMnist() {
    folder.write("mnist/train-images-idx3-ubyte", image_file(3));
    folder.write("mnist/train-labels-idx1-ubyte", label_file({5, 0, 9}));
    folder.write("mnist/t10k-images-idx3-ubyte", image_file(2));
    folder.write("mnist/t10k-labels-idx1-ubyte", label_file({7, 2}));
  }
  DataSet load() const { return data_format::mnist()->load(data_in(folder.path())); }
  std::string refusal_of() const {
    return lateral::refusal_of([&] { load(); });
  }
  std::string file(const std::string& name) const {
    return (folder.path() / "mnist" / name).string();
  }
};

std::string idx_refusal(const Bytes& bytes) {
  return refusal_of([&] { parse_idx(bytes, "F"); });
}

}  // namespace

TEST_CASE("a small MNIST is read byte for byte") {
  const SmallMnist small;
  const DataSet data = small.load();
  CHECK(data.shape.channels == 1);
  CHECK(data.shape.height == 28);
  CHECK(data.shape.width == 28);
  CHECK(data.shape.classes == 10);
  CHECK(data.mean == std::vector<double>{0.1307});
  CHECK(data.standard_deviation == std::vector<double>{0.3081});
  CHECK(data.train.labels == Labels{5, 0, 9});
  CHECK(data.test.labels == Labels{7, 2});
  const Bytes file = image_file(3);
  CHECK(data.train.pixels == Bytes(file.begin() + 16, file.end()));
  CHECK(data.test.count() == 2);
  CHECK(data_format::mnist()->describe({}).train_samples == 60000);
}

TEST_CASE("MNIST files may be gzipped and the raw one is preferred") {
  const SmallMnist small;
  std::filesystem::remove(small.file("train-labels-idx1-ubyte"));
  small.folder.write("mnist/train-labels-idx1-ubyte.gz", gzip(label_file({1, 2, 3})));
  CHECK(small.load().train.labels == Labels{1, 2, 3});
  small.folder.write("mnist/train-labels-idx1-ubyte", label_file({4, 5, 6}));
  CHECK(small.load().train.labels == Labels{4, 5, 6});
  std::filesystem::remove(small.file("train-images-idx3-ubyte"));
  small.folder.write("mnist/train-images-idx3-ubyte.gz", gzip(image_file(3)));
  const Bytes file = image_file(3);
  CHECK(small.load().train.pixels == Bytes(file.begin() + 16, file.end()));
}

TEST_CASE("the error for a missing MNIST file names it and the option to set") {
  const SmallMnist small;
  const std::string file = small.file("t10k-images-idx3-ubyte");
  std::filesystem::remove(file);
  CHECK(small.refusal_of() ==
        file +
            ": not found, expected MNIST images in IDX format (or the same as "
            ".gz); name the folder that contains it with --data DIR or "
            "LATERAL_DATA");
}

TEST_CASE("a missing data folder is reported") {
  CHECK(refusal_of([] { data_format::mnist()->load({}); }) ==
        "no data folder given, expected one that contains mnist; name it with --data DIR or "
        "LATERAL_DATA");
}

TEST_CASE("a folder instead of an MNIST file is refused") {
  const SmallMnist small;
  const std::string file = small.file("train-images-idx3-ubyte");
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  CHECK(contains(small.refusal_of(), file + ": not a regular file, expected MNIST images"));
}

TEST_CASE("MNIST images and labels must agree in number") {
  const SmallMnist small;
  small.folder.write("mnist/train-labels-idx1-ubyte", label_file({5, 0}));
  CHECK(small.refusal_of() ==
        small.file("train-labels-idx1-ubyte") +
            ": at byte 4: found 2 labels, expected 3, as many as there are images in " +
            small.file("train-images-idx3-ubyte"));
}

TEST_CASE("an MNIST label above 9 is refused with its offset") {
  const SmallMnist small;
  small.folder.write("mnist/t10k-labels-idx1-ubyte", label_file({9, 10}));
  CHECK(small.refusal_of() ==
        small.file("t10k-labels-idx1-ubyte") + ": at byte 9: found label 10, expected 0 to 9");
}

TEST_CASE("MNIST images must be 28 by 28 and at least one") {
  const SmallMnist small;
  const std::string file = small.file("train-images-idx3-ubyte");
  small.folder.write("mnist/train-images-idx3-ubyte", idx_bytes({3, 28, 27}, Bytes(3 * 28 * 27)));
  CHECK(small.refusal_of() == file + ": at byte 8: found images of 28 × 27, expected 28 × 28");
  small.folder.write("mnist/train-images-idx3-ubyte", idx_bytes({0, 28, 28}, {}));
  CHECK(small.refusal_of() == file + ": at byte 4: found 0 images, expected at least one");
  small.folder.write("mnist/train-images-idx3-ubyte", label_file({1, 2, 3}));
  CHECK(small.refusal_of() == file + ": at byte 3: found 1 dimensions, expected 3");
}

TEST_CASE("an MNIST file that is truncated or too long is refused") {
  const SmallMnist small;
  const std::string file = small.file("train-images-idx3-ubyte");
  Bytes bytes = image_file(3);
  bytes.pop_back();
  small.folder.write("mnist/train-images-idx3-ubyte", bytes);
  CHECK(small.refusal_of() ==
        file +
            ": at byte 2367: found the end of the file, expected 2368 bytes as "
            "in the header (truncated)");
  bytes.push_back(0);
  bytes.push_back(0);
  small.folder.write("mnist/train-images-idx3-ubyte", bytes);
  CHECK(small.refusal_of() ==
        file +
            ": at byte 2368: found 1 more bytes, expected the end of the file "
            "after the 2368 bytes of the header's dimensions (oversized)");
}

TEST_CASE("a corrupt gzip file is refused") {
  const SmallMnist small;
  const std::string name = "train-images-idx3-ubyte";
  std::filesystem::remove(small.file(name));
  const std::string file = small.file(name + ".gz");
  const Bytes good = gzip(image_file(3));

  Bytes bytes = good;
  bytes[bytes.size() - 6] ^= 0xFFU;  // in the checksum
  small.folder.write("mnist/" + name + ".gz", bytes);
  CHECK(contains(small.refusal_of(), file + ": at byte "));
  CHECK(contains(small.refusal_of(),
                 "found corrupt gzip data (incorrect data check), expected valid gzip data"));

  bytes.assign(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(good.size() / 2));
  small.folder.write("mnist/" + name + ".gz", bytes);
  CHECK(small.refusal_of() == file + ": at byte " + std::to_string(good.size() / 2) +
                                  ": found the end of the file, expected the end of the gzip data "
                                  "(the file is truncated)");

  bytes = good;
  bytes.push_back(1);
  small.folder.write("mnist/" + name + ".gz", bytes);
  CHECK(small.refusal_of() ==
        file + ": at byte " + std::to_string(good.size()) +
            ": found 1 more bytes, expected the end of the file after the gzip "
            "data");

  small.folder.write("mnist/" + name + ".gz", {'n', 'o', ' ', 'g', 'z', 'i', 'p'});
  CHECK(contains(small.refusal_of(), "found corrupt gzip data (incorrect header check)"));
  small.folder.write("mnist/" + name + ".gz", {});
  CHECK(contains(small.refusal_of(), "at byte 0: found the end of the file"));
}

TEST_CASE("gzip data may not unpack beyond the limit") {
  const Bytes packed = gzip(Bytes(1'000'000));
  CHECK(packed.size() < 2000);
  CHECK(gunzip(packed, "F", 1'000'000) == Bytes(1'000'000));
  const std::string text = refusal_of([&] { gunzip(packed, "F", 999'999); });
  CHECK(contains(text, "F: at byte "));
  CHECK(contains(text, "unpack to more than 999999 bytes, expected at most 999999 bytes"));
  CHECK(!refusal_of([&] { gunzip(packed, "F", 0); }).empty());
}

TEST_CASE("a file beyond the limit is refused before it is read") {
  const DataFolder folder;
  const auto file = folder.write("f", Bytes(11));
  CHECK(read_data_file(file, 11, "x").size() == 11);
  CHECK(refusal_of([&] { read_data_file(file, 10, "x"); }) ==
        file.string() + ": 11 bytes, expected at most 10");
}

TEST_CASE("an IDX header is checked byte by byte") {
  CHECK(idx_refusal({}) ==
        "F: at byte 0: found the end of the file, expected an IDX header (truncated)");
  CHECK(idx_refusal({0, 0, 8}) ==
        "F: at byte 3: found the end of the file, expected an IDX header (truncated)");
  CHECK(idx_refusal({1, 0, 8, 1, 0, 0, 0, 0}) ==
        "F: at byte 0: found 0x01000801, expected the IDX magic number 0x000008..");
  CHECK(contains(idx_refusal({0, 1, 8, 1, 0, 0, 0, 0}), "found 0x00010801"));
  CHECK(idx_refusal({0, 0, 13, 1, 0, 0, 0, 0}) ==
        "F: at byte 2: found IDX type 0x0d, expected 0x08 (unsigned byte)");
  CHECK(idx_refusal({0, 0, 8, 0}) == "F: at byte 3: found 0 dimensions, expected 1 to 4");
  CHECK(idx_refusal({0, 0, 8, 5}) == "F: at byte 3: found 5 dimensions, expected 1 to 4");
  CHECK(idx_refusal({0, 0, 8, 2, 0, 0, 0, 1, 0, 0}) ==
        "F: at byte 10: found the end of the file, expected 2 dimensions up to byte 12 "
        "(truncated)");
}

TEST_CASE("wrong IDX dimensions are refused before anything is allocated") {
  constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
  CHECK(contains(idx_refusal(idx_bytes({most}, {1})), "expected 4294967303 bytes"));
  CHECK(contains(idx_refusal(idx_bytes({most, most, most, most}, {1})),
                 "F: at byte 8: found dimension 4294967295"));
  // 2^16 · 2^16 · 2^16 · 2^16 is 0 in 64 bits.
  CHECK(contains(idx_refusal(idx_bytes({1U << 16U, 1U << 16U, 1U << 16U, 1U << 16U}, {})),
                 "F: at byte 16: found dimension 65536"));
}

TEST_CASE("an IDX array refers to the bytes it was parsed from") {
  const Bytes bytes = idx_bytes({2, 3}, {1, 2, 3, 4, 5, 6});
  const IdxArray array = parse_idx(bytes, "F");
  CHECK(array.dimensions == std::vector<std::size_t>{2, 3});
  CHECK(array.values.data() == bytes.data() + 12);
  CHECK(array.values.size() == 6);
  CHECK(array.values_offset == 12);
  const Bytes empty = idx_bytes({0, 7}, {});
  CHECK(parse_idx(empty, "F").values.empty());
}

TEST_CASE("every error for a short IDX file is a UserError of one line") {
  const Bytes good = idx_bytes({2, 2}, {1, 2, 3, 4});
  for (std::size_t n = 0; n < good.size(); ++n) {
    const Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n));
    CHECK(is_one_line(idx_refusal(cut)));
  }
  // One byte changed: an array or a UserError, nothing else.
  for (std::size_t i = 0; i < 12; ++i)
    for (const std::uint8_t value : Bytes{1, 2, 8, 128, 255}) {
      Bytes changed = good;
      changed[i] = value;
      const std::string text = idx_refusal(changed);
      CHECK((text.empty() || is_one_line(text)));
    }
}

TEST_CASE("the real MNIST has its known counts and labels and mean") {
  const auto root = real_data();
  if (!root) {
    MESSAGE("skipped: LATERAL_DATA is not set");
    return;
  }
  const DataSet data = data_format::mnist()->load(data_in(*root));
  CHECK(data.train.count() == 60000);
  CHECK(data.test.count() == 10000);
  CHECK(Bytes(data.train.labels.begin(), data.train.labels.begin() + 5) == Bytes{5, 0, 4, 1, 9});
  const double sum = std::accumulate(data.train.pixels.begin(), data.train.pixels.end(), 0.0);
  const double mean = sum / 255.0 / static_cast<double>(data.train.pixels.size());
  CHECK(mean == doctest::Approx(0.1307).epsilon(0.001));
}
