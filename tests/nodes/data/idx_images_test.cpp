// Data sets in the files of MNIST: folders, labels, orientation and numbers of classes of each.
#include "nodes/data/idx_images.hpp"

#include "nodes/data/files.hpp"
#include "tests/nodes/data/data_fixtures.hpp"

using namespace lateral;
using namespace lateral::testing;

namespace {

constexpr std::size_t side = 28;

/// Image `i` has i + 1 at row 2, column 5 and 0 elsewhere.
Bytes marked_images(std::uint32_t count) {
  Bytes pixels(count * side * side);
  for (std::uint32_t i = 0; i < count; ++i)
    pixels[i * side * side + 2 * side + 5] = static_cast<std::uint8_t>(i + 1);
  return idx_bytes({count, side, side}, pixels);
}

Bytes label_file(const Bytes& labels) {
  return idx_bytes({static_cast<std::uint32_t>(labels.size())}, labels);
}

std::unique_ptr<DataFormat> format(std::string_view name) {
  auto* make = find_entry(data_format_table(), name);
  const bool is_in_table = make != nullptr;
  REQUIRE(is_in_table);
  return make();
}

/// Writes training data with `labels`, and one test sample with the last of them.
void write_set(const DataFolder& folder, const std::string& train, const std::string& test,
               const Bytes& labels) {
  folder.write(train + "-images-idx3-ubyte",
               marked_images(static_cast<std::uint32_t>(labels.size())));
  folder.write(train + "-labels-idx1-ubyte", label_file(labels));
  folder.write(test + "-images-idx3-ubyte.gz", gzip(marked_images(1)));
  folder.write(test + "-labels-idx1-ubyte.gz", gzip(label_file({labels.back()})));
}

std::vector<int> classes_of(const Samples& images) {
  return {images.labels.begin(), images.labels.end()};
}

}  // namespace

TEST_CASE("data sets like MNIST are found in each of their folders") {
  const std::vector<std::pair<std::string, std::string>> places{
      {"mnist", "mnist"},
      {"mnist", "MNIST/raw"},
      {"fashion_mnist", "fashion-mnist"},
      {"fashion_mnist", "fashion-mnist/data/fashion"},
      {"fashion_mnist", "FashionMNIST/raw"},
      {"kmnist", "kmnist"},
      {"kmnist", "KMNIST/raw"}};
  for (const auto& [name, place] : places) {
    CAPTURE(name);
    CAPTURE(place);
    const DataFolder folder;
    write_set(folder, place + "/train", place + "/t10k", {9, 0, 3});
    const DataSet data = format(name)->load(data_in(folder.path()));
    CHECK(classes_of(data.train) == std::vector<int>{9, 0, 3});
    CHECK(classes_of(data.test) == std::vector<int>{3});
    CHECK(data.train.pixels.size() == 3 * side * side);
    CHECK(data.train.pixels[side * side + 2 * side + 5] == 2);
    CHECK(data.shape.classes == 10);
    CHECK(format(name)->describe({}).train_samples == 60000);
  }
}

TEST_CASE("the message for missing data names the first folder of the data set") {
  const DataFolder folder;
  CHECK(refusal_of([&] { format("kmnist")->load(data_in(folder.path())); }) ==
        (folder.path() / "kmnist/train-images-idx3-ubyte").string() +
            ": not found, expected KMNIST images in IDX format (or the same as .gz); name the "
            "folder that contains it with --data DIR or LATERAL_DATA");
  CHECK(refusal_of([&] { format("emnist_letters")->load({}); }) ==
        "no data folder given, expected one that contains emnist; name it with --data DIR or "
        "LATERAL_DATA");
}

TEST_CASE("each split of EMNIST has its files, labels, classes and numbers of samples") {
  struct Split {
    std::string name;
    std::uint8_t first_label;
    int classes;
    std::size_t train_samples, samples;
  };
  const std::vector<Split> splits{
      {"letters", 1, 26, 124800, 145600}, {"balanced", 0, 47, 112800, 131600},
      {"bymerge", 0, 47, 697932, 814255}, {"byclass", 0, 62, 697932, 814255},
      {"digits", 0, 10, 240000, 280000},  {"mnist", 0, 10, 60000, 70000}};
  for (const Split& split : splits) {
    CAPTURE(split.name);
    const auto reader = format("emnist_" + split.name);
    const DataFolder folder;
    const auto last = static_cast<std::uint8_t>(split.first_label + split.classes - 1);
    const std::string place = "emnist/gzip/emnist-" + split.name;
    write_set(folder, place + "-train", place + "-test", {split.first_label, last});
    const DataSet data = reader->load(data_in(folder.path()));
    CHECK(data.shape.classes == split.classes);
    CHECK(classes_of(data.train) == std::vector<int>{0, split.classes - 1});
    CHECK(classes_of(data.test) == std::vector<int>{split.classes - 1});
    CHECK(reader->describe({}).train_samples == split.train_samples);
    CHECK(reader->describe({}).train_samples + reader->describe({}).test_samples == split.samples);

    // One above the last label, and for letters also the 0 of nothing.
    folder.write(place + "-train-labels-idx1-ubyte",
                 label_file({last, static_cast<std::uint8_t>(last + 1)}));
    CHECK(contains(refusal_of([&] { reader->load(data_in(folder.path())); }),
                   "at byte 9: found label " + std::to_string(last + 1) + ", expected " +
                       std::to_string(split.first_label) + " to " + std::to_string(last)));
  }
}

TEST_CASE("label 0 of EMNIST's letters is refused") {
  const DataFolder folder;
  write_set(folder, "EMNIST/raw/emnist-letters-train", "EMNIST/raw/emnist-letters-test", {1, 0});
  CHECK(refusal_of([&] { format("emnist_letters")->load(data_in(folder.path())); }) ==
        (folder.path() / "EMNIST/raw/emnist-letters-train-labels-idx1-ubyte").string() +
            ": at byte 9: found label 0, expected 1 to 26");
}

TEST_CASE("EMNIST's images are turned upright and MNIST's are left as they are") {
  Bytes pixels(2 * side * side);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i % 251);
  IdxImageSet set;
  const NamedBytes images{"I", idx_bytes({2, side, side}, pixels)};
  const NamedBytes labels{"L", label_file({1, 2})};
  CHECK(parse_idx_images(images, labels, set).pixels == pixels);
  set.transposed = true;
  const Samples upright = parse_idx_images(images, labels, set);
  bool is_transposed = upright.pixels.size() == pixels.size();
  for (std::size_t i = 0; is_transposed && i < 2; ++i)
    for (std::size_t y = 0; y < side; ++y)
      for (std::size_t x = 0; x < side; ++x)
        is_transposed = is_transposed && upright.pixels[(i * side + y) * side + x] ==
                                             pixels[(i * side + x) * side + y];
  CHECK(is_transposed);

  const DataFolder folder;
  write_set(folder, "emnist/emnist-digits-train", "emnist/emnist-digits-test", {4});
  const DataSet data = format("emnist_digits")->load(data_in(folder.path()));
  CHECK(data.train.pixels[5 * side + 2] == 1);
  CHECK(data.train.pixels[2 * side + 5] == 0);
  CHECK(data.test.pixels[5 * side + 2] == 1);
}
