// CIFAR-10 and CIFAR-100: the data read, and the text of every error.
#include <numeric>

#include "nodes/data/cifar_records.hpp"
#include "tests/nodes/data/data_fixtures.hpp"

using namespace lateral;
using namespace lateral::testing;

namespace {

Bytes record(const Bytes& labels, std::uint8_t first_pixel) {
  Bytes bytes = labels;
  for (std::size_t i = 0; i < cifar_pixels; ++i)
    bytes.push_back(static_cast<std::uint8_t>((first_pixel + i) % 256));
  return bytes;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

struct SmallCifar10 {
  DataFolder folder;
  SmallCifar10() {
    for (std::uint8_t i = 1; i <= 5; ++i)
      folder.write("cifar-10-batches-bin/data_batch_" + std::to_string(i) + ".bin",
                   record({i}, i) + record({9}, 100));
    folder.write("cifar-10-batches-bin/test_batch.bin", record({0}, 7));
  }
  DataSet load() const { return data_format::cifar10()->load(data_in(folder.path())); }
  std::string refusal_of() const {
    return lateral::refusal_of([&] { load(); });
  }
  std::string file(const std::string& name) const {
    return (folder.path() / "cifar-10-batches-bin" / name).string();
  }
};

}  // namespace

TEST_CASE("a small CIFAR-10 is read in the order of its files") {
  const SmallCifar10 small;
  const DataSet data = small.load();
  CHECK(data.shape.channels == 3);
  CHECK(data.shape.pixels() == 3072);
  CHECK(data.shape.classes == 10);
  CHECK(data.mean == std::vector<double>{0.4914, 0.4822, 0.4465});
  CHECK(data.standard_deviation == std::vector<double>{0.2023, 0.1994, 0.2010});
  CHECK(data.train.labels == Labels{1, 9, 2, 9, 3, 9, 4, 9, 5, 9});
  CHECK(data.test.labels == Labels{0});
  CHECK(data.train.pixels.size() == 10 * cifar_pixels);
  CHECK(data.train.pixels[2 * cifar_pixels] == 2);
  CHECK(data.train.pixels[2 * cifar_pixels + 5] == 7);
  CHECK(data.train.pixels[3 * cifar_pixels] == 100);
  CHECK(data.test.pixels[1] == 8);
}

TEST_CASE("the error for a missing CIFAR-10 file names it and the option to set") {
  const SmallCifar10 small;
  std::filesystem::remove(small.file("data_batch_4.bin"));
  CHECK(small.refusal_of() ==
        small.file("data_batch_4.bin") +
            ": not found, expected CIFAR records of 3073 bytes; name the folder "
            "that contains it with --data DIR or LATERAL_DATA");
}

TEST_CASE("a CIFAR-10 file that is truncated or too long or empty is refused") {
  const SmallCifar10 small;
  const std::string file = small.file("data_batch_2.bin");
  Bytes bytes = record({3}, 0) + record({4}, 0);
  bytes.pop_back();
  small.folder.write("cifar-10-batches-bin/data_batch_2.bin", bytes);
  CHECK(small.refusal_of() ==
        file +
            ": at byte 6145: found the end of the file 3072 bytes into record "
            "1, expected whole records of 3073 bytes (truncated)");
  bytes.push_back(0);
  bytes.push_back(0);
  small.folder.write("cifar-10-batches-bin/data_batch_2.bin", bytes);
  CHECK(contains(small.refusal_of(), file +
                                         ": at byte 6147: found the end of the file 1 bytes into "
                                         "record 2"));
  small.folder.write("cifar-10-batches-bin/data_batch_2.bin", {});
  CHECK(small.refusal_of() ==
        file + ": at byte 0: found an empty file, expected at least one record of 3073 bytes");
}

TEST_CASE("a CIFAR-10 label above 9 is refused with its offset") {
  const SmallCifar10 small;
  small.folder.write("cifar-10-batches-bin/test_batch.bin", record({3}, 0) + record({10}, 0));
  CHECK(small.refusal_of() ==
        small.file("test_batch.bin") + ": at byte 3073: found label 10, expected 0 to 9");
}

TEST_CASE("too many CIFAR records are refused") {
  Samples images;
  const Bytes bytes = record({1}, 0) + record({2}, 0) + record({3}, 0);
  CHECK(refusal_of([&] { append_cifar_records(bytes, "F", {10}, images, 2); }) ==
        "F: at byte 6146: found 3 records, expected at most 2");
  CHECK(refusal_of([&] { append_cifar_records(bytes, "F", {10}, images, 3); }).empty());
}

TEST_CASE("CIFAR-100 returns the fine label and checks both labels") {
  const DataFolder folder;
  const auto load = [&] { return data_format::cifar100()->load(data_in(folder.path())); };
  folder.write("cifar-100-binary/train.bin", record({19, 99}, 1) + record({0, 42}, 2));
  const auto test = folder.write("cifar-100-binary/test.bin", record({4, 3}, 3)).string();
  const DataSet data = load();
  CHECK(data.shape.classes == 100);
  CHECK(data.mean == std::vector<double>{0.5071, 0.4865, 0.4409});
  CHECK(data.standard_deviation == std::vector<double>{0.2673, 0.2564, 0.2762});
  CHECK(data.train.labels == Labels{99, 42});
  CHECK(data.train.pixels[0] == 1);
  CHECK(data.train.pixels[cifar_pixels] == 2);
  CHECK(data.test.labels == Labels{3});

  folder.write("cifar-100-binary/test.bin", record({20, 3}, 3));
  CHECK(refusal_of(load) == test + ": at byte 0: found label 20, expected 0 to 19");
  folder.write("cifar-100-binary/test.bin", record({4, 100}, 3));
  CHECK(refusal_of(load) == test + ": at byte 1: found label 100, expected 0 to 99");
  folder.write("cifar-100-binary/test.bin", record({4}, 3));
  CHECK(contains(refusal_of(load), "expected whole records of 3074 bytes (truncated)"));
  std::filesystem::remove(test);
  CHECK(contains(refusal_of(load), test + ": not found"));
}

TEST_CASE("a refused CIFAR file does not change the images") {
  Samples images;
  append_cifar_records(record({1}, 0), "F", {10}, images);
  CHECK(is_one_line(refusal_of(
      [&] { append_cifar_records(record({2}, 0) + record({99}, 0), "F", {10}, images); })));
  CHECK(images.labels == Labels{1});
  CHECK(images.pixels.size() == cifar_pixels);
}

TEST_CASE("the real CIFAR-10 has its known counts and mean") {
  const auto root = real_data();
  if (!root) {
    MESSAGE("skipped: LATERAL_DATA is not set");
    return;
  }
  const DataSet data = data_format::cifar10()->load(data_in(*root));
  CHECK(data.train.count() == 50000);
  CHECK(data.test.count() == 10000);
  constexpr std::size_t channel_pixels = cifar_pixels / cifar_channels;
  std::vector<double> sums(cifar_channels);
  for (std::size_t i = 0; i < data.train.pixels.size(); ++i)
    sums[i / channel_pixels % cifar_channels] += data.train.pixels[i];
  for (std::size_t c = 0; c < sums.size(); ++c)
    CHECK(sums[c] / 255.0 / (50000.0 * channel_pixels) ==
          doctest::Approx(data.mean[c]).epsilon(0.001));
}
