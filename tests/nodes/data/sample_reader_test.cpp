// Reading samples of an array: by runs, in memory, and by windows.
#include "nodes/data/sample_reader.hpp"

#include <doctest/doctest.h>

#include "nodes/data/batches.hpp"
#include "tests/nodes/data/array_fixture.hpp"
#include "tests/nodes/data/load_batch.hpp"

using namespace lateral;
using namespace lateral::testing;

namespace {

Samples samples_of(std::shared_ptr<const SampleArray> array, Positions rows) {
  Samples samples;
  for (const std::uint32_t row : rows) samples.labels.push_back(row % 3);
  samples.array = std::move(array);
  samples.rows = std::move(rows);
  return samples;
}

DataSet numbered_data(std::size_t n, ImageShape shape) {
  const auto array = std::make_shared<NumberedArray>(std::vector<std::size_t>{
      n, static_cast<std::size_t>(shape.channels), static_cast<std::size_t>(shape.height),
      static_cast<std::size_t>(shape.width)});
  Positions train = first_positions(n), test;
  split_positions(train, test, n / 4, 1, 1);
  shape.classes = 3;
  DataSet data;
  data.shape = shape;
  data.unit = 1;
  data.train = samples_of(array, train);
  data.test = samples_of(array, test);
  return data;
}

/// All batches of an epoch and of an evaluation.
std::vector<float> values_of(const DataSet& data, const BatchParams& params) {
  const Batches batches(data, params);
  std::vector<float> all;
  Matrix values;
  std::vector<std::uint32_t> labels;
  const auto add = [&] {
    all.insert(all.end(), values.data(), values.data() + values.size());
    for (const std::uint32_t label : labels) all.push_back(static_cast<float>(label));
  };
  for (int i = 0; i < batches.train_steps_per_epoch(); ++i) {
    load_train(batches, 2, i, values, labels);
    add();
  }
  for (int i = 0; i < batches.evaluate_steps(); ++i) {
    load_evaluate(batches, i, values, labels);
    add();
  }
  return all;
}

}  // namespace

TEST_CASE("rows are read in any order, near ones together") {
  const NumberedArray array({1000, 2});
  const Positions rows{500, 3, 4, 999, 6, 3};
  std::vector<float> out(rows.size() * 2);
  read_rows(array, rows, out.data());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CHECK(out[2 * i] == static_cast<float>(100 * rows[i]));
    CHECK(out[2 * i + 1] == static_cast<float>(100 * rows[i] + 1));
  }
  CHECK(array.reads == 3);
}

TEST_CASE("an array in memory has the values of its file") {
  for (const ElementKind kind : {ElementKind::real, ElementKind::unsigned_byte}) {
    const NumberedArray array({2, 50}, kind);
    const auto copy = read_into_memory(array);
    CHECK(copy->shape() == array.shape());
    float expected[50], found[50];
    array.read(1, 1, expected);
    copy->read(1, 1, found);
    for (int i = 0; i < 50; ++i) CHECK(found[i] == expected[i]);
  }
}

TEST_CASE("samples from a window are those of the order, and each row is read once an epoch") {
  const auto array = std::make_shared<NumberedArray>(std::vector<std::size_t>{2000, 2});
  const Samples samples = samples_of(array, first_positions(2000));
  SampleReader reader(samples, 320);
  const Positions order = shuffled(first_positions(2000), 320, 1, 1);
  for (std::size_t i = 0; i < order.size(); ++i)
    REQUIRE(reader.read(order, 1, i)[0] == static_cast<float>(100 * order[i]));
  CHECK(array->rows_read < 2 * order.size());  // with the gaps between pieces
  // A sample of the window before is still there.
  const std::size_t before = array->reads;
  reader.read(order, 1, order.size() - 170);
  CHECK(array->reads == before);
  // Another order is another window.
  CHECK(reader.read(first_positions(2000), 2, 5)[0] == 500);
}

TEST_CASE("batches with a buffer have the bits of batches in memory of the same order") {
  const DataSet data = numbered_data(997, {.channels = 2, .height = 3, .width = 4});
  BatchParams params{.batch_size = 64, .seed = 5, .normalize = Normalize::channel};
  params.shuffle = false;
  const std::vector<float> in_memory = values_of(data, params);
  params.buffer_samples = 100;
  CHECK(values_of(data, params) == in_memory);

  // Shuffled: the order depends on the size of the buffer, and the same batch can be read twice.
  params.shuffle = true;
  const std::vector<float> shuffled_values = values_of(data, params);
  CHECK(shuffled_values != in_memory);
  CHECK(shuffled_values == values_of(data, params));
}

TEST_CASE("validation samples of a buffered part are those in memory") {
  const DataSet data = numbered_data(400, {.channels = 1, .height = 1, .width = 3});
  BatchParams params{.batch_size = 16, .shuffle = false, .seed = 5};
  params.validation_samples = 50;
  params.normalize = Normalize::feature;
  const std::vector<float> in_memory = values_of(data, params);
  params.buffer_samples = 40;
  CHECK(values_of(data, params) == in_memory);
}

TEST_CASE("normalisation is that of the training samples alone") {
  const DataSet data = numbered_data(100, {.channels = 2, .height = 1, .width = 2});
  for (const Normalize normalize : {Normalize::feature, Normalize::channel}) {
    BatchParams params{.batch_size = 1000, .shuffle = false, .normalize = normalize};
    params.validation_samples = 10;
    const Batches batches(data, params);
    Matrix values;
    std::vector<std::uint32_t> labels;
    load_train(batches, 1, 0, values, labels);
    REQUIRE(values.cols() == 65);
    const Index constants = normalize == Normalize::feature ? 4 : 2;
    CHECK(batches.mean().size() == static_cast<std::size_t>(constants));
    const Index rows = 4 / constants;
    for (Index k = 0; k < constants; ++k) {
      const Eigen::ArrayXXd of = values.middleRows(k * rows, rows).cast<double>().array();
      CHECK(of.mean() == doctest::Approx(0).epsilon(1e-5));
      CHECK((of - of.mean()).square().mean() == doctest::Approx(1).epsilon(1e-5));
    }
  }
}

TEST_CASE("a value that does not vary is only centred") {
  DataSet data = numbered_data(8, {.channels = 1, .height = 1, .width = 2});
  data.train.rows.assign(data.train.rows.size(), 3);
  const Batches batches(data, {.batch_size = 10, .normalize = Normalize::feature});
  CHECK(batches.standard_deviation() == std::vector<double>{1, 1});
  Matrix values;
  std::vector<std::uint32_t> labels;
  load_train(batches, 1, 0, values, labels);
  CHECK(values.cwiseAbs().maxCoeff() == 0);
}

TEST_CASE("images are cropped at random in training and at the centre in evaluation") {
  const DataSet data = numbered_data(40, {.channels = 1, .height = 6, .width = 8});
  BatchParams params{.batch_size = 100, .shuffle = false, .seed = 2};
  params.crop_size = 4;
  const Batches batches(data, params);
  REQUIRE(batches.inputs() == 16);
  Matrix values;
  std::vector<std::uint32_t> labels;
  load_evaluate(batches, 0, values, labels);
  for (Index sample = 0; sample < values.cols(); ++sample) {
    const auto row = static_cast<float>(100 * data.test.rows[static_cast<std::size_t>(sample)]);
    CHECK(values(0, sample) == row + 1 * 8 + 2);   // pixel (1, 2)
    CHECK(values(15, sample) == row + 4 * 8 + 5);  // pixel (4, 5)
  }
  std::vector<int> corners(48);
  for (std::uint64_t epoch = 1; epoch <= 20; ++epoch) {
    load_train(batches, epoch, 0, values, labels);
    for (Index sample = 0; sample < values.cols(); ++sample) {
      const auto row = static_cast<float>(100 * data.train.rows[static_cast<std::size_t>(sample)]);
      const auto corner = static_cast<int>(values(0, sample) - row);
      REQUIRE(corner >= 0);
      REQUIRE(corner < 48);
      ++corners[static_cast<std::size_t>(corner)];
      CHECK(values(15, sample) == row + static_cast<float>(corner + 3 * 8 + 3));
    }
  }
  for (int y = 0; y < 6; ++y)
    for (int x = 0; x < 8; ++x)
      CHECK((corners[static_cast<std::size_t>(y * 8 + x)] > 0) == (y <= 2 && x <= 4));
}
