// Batches: normalisation, order, limits, validation and augmentation.
#include "nodes/data/batches.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/check.hpp"
#include "core/random.hpp"
#include "tests/nodes/data/data_fixtures.hpp"
#include "tests/nodes/data/load_batch.hpp"

using namespace lateral;
using namespace lateral::testing;

namespace {

constexpr int height = 3;
constexpr int width = 4;
constexpr int channels = 2;
constexpr int pixels = channels * height * width;

/// Sample i starts with the bytes i, i + 100, so that a column identifies its sample.
DataSet numbered(int n_train, int n_test) {
  DataSet data;
  data.shape = {channels, height, width, 10};
  data.mean = {0.5, 0.25};
  data.standard_deviation = {0.25, 0.125};
  const auto fill = [](Samples& images, int n, int first) {
    for (int i = 0; i < n; ++i) {
      images.labels.push_back(static_cast<std::uint8_t>(i % 10));
      for (int k = 0; k < pixels; ++k)
        images.pixels.push_back(static_cast<std::uint8_t>((first + i + k * 37) % 256));
    }
  };
  fill(data.train, n_train, 0);
  fill(data.test, n_test, 100);
  return data;
}

BatchParams params_of(int batch_size) {
  BatchParams params;
  params.batch_size = batch_size;
  params.seed = 7;
  return params;
}

Scalar normalised(const DataSet& data, int channel, int byte) {
  const auto c = static_cast<std::size_t>(channel);
  return static_cast<Scalar>((byte / 255.0 - data.mean[c]) / data.standard_deviation[c]);
}

/// The byte of pixel 0 of a column, which is the number of its sample.
int number_of(const Matrix& values, Index column) {
  return static_cast<int>(
      std::lround((static_cast<double>(values(0, column)) * 0.25 + 0.5) * 255.0));
}

struct Pass {
  std::vector<int> numbers;
  std::vector<std::uint32_t> labels;
  std::vector<Index> sizes;
};

Pass train_pass(const Batches& batches, std::uint64_t epoch) {
  Pass pass;
  Matrix values;
  std::vector<std::uint32_t> labels;
  for (int i = 0; i < batches.train_steps_per_epoch(); ++i) {
    load_train(batches, epoch, i, values, labels);
    REQUIRE(values.cols() == static_cast<Index>(labels.size()));
    pass.sizes.push_back(values.cols());
    for (Index c = 0; c < values.cols(); ++c) pass.numbers.push_back(number_of(values, c));
    pass.labels.insert(pass.labels.end(), labels.begin(), labels.end());
  }
  return pass;
}

Pass evaluate_pass(const Batches& batches) {
  Pass pass;
  Matrix values;
  std::vector<std::uint32_t> labels;
  for (int i = 0; i < batches.evaluate_steps(); ++i) {
    load_evaluate(batches, i, values, labels);
    pass.sizes.push_back(values.cols());
    for (Index c = 0; c < values.cols(); ++c) pass.numbers.push_back(number_of(values, c));
    pass.labels.insert(pass.labels.end(), labels.begin(), labels.end());
  }
  return pass;
}

std::vector<int> sorted(std::vector<int> numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::vector<int> range(int begin, int end) {
  std::vector<int> numbers;
  for (int i = begin; i < end; ++i) numbers.push_back(i);
  return numbers;
}

}  // namespace

TEST_CASE("known bytes become known values") {
  DataSet data;
  data.shape = {1, 1, 3, 10};
  data.mean = {0.1307};
  data.standard_deviation = {0.3081};
  data.train = {{0, 128, 255}, {4}};
  const Batches batches(data, params_of(1));
  Matrix values;
  std::vector<std::uint32_t> labels;
  load_train(batches, 1, 0, values, labels);
  CHECK(labels == std::vector<std::uint32_t>{4});
  // The constants of the MNIST normalisation, computed by hand.
  CHECK(values(0, 0) == doctest::Approx(-0.424213).epsilon(1e-6));
  CHECK(values(1, 0) == doctest::Approx(1.204999).epsilon(1e-6));
  CHECK(values(2, 0) == doctest::Approx(2.821487).epsilon(1e-6));
}

TEST_CASE("each channel is normalised with its own mean and deviation in the order of the bytes") {
  const DataSet data = numbered(3, 1);
  BatchParams params = params_of(3);
  params.shuffle = false;
  const Batches batches(data, params);
  Matrix values;
  std::vector<std::uint32_t> labels;
  load_train(batches, 1, 0, values, labels);
  REQUIRE(values.rows() == pixels);
  REQUIRE(values.cols() == 3);
  int wrong = 0;
  for (int sample = 0; sample < 3; ++sample)
    for (int k = 0; k < pixels; ++k)
      wrong += values(k, sample) !=
               normalised(data, k / (height * width),
                          data.train.pixels[static_cast<std::size_t>(sample * pixels + k)]);
  CHECK(wrong == 0);
}

TEST_CASE("an epoch covers each sample exactly once with its own label") {
  const Batches batches(numbered(53, 5), params_of(8));
  CHECK(batches.train_samples() == 53);
  CHECK(batches.train_steps_per_epoch() == 7);
  for (const std::uint64_t epoch : {1U, 2U, 9U}) {
    const Pass pass = train_pass(batches, epoch);
    CHECK(sorted(pass.numbers) == range(0, 53));
    CHECK(pass.sizes == std::vector<Index>{8, 8, 8, 8, 8, 8, 5});
    for (std::size_t i = 0; i < pass.numbers.size(); ++i)
      CHECK(static_cast<int>(pass.labels[i]) == pass.numbers[i] % 10);
  }
}

TEST_CASE("shuffling differs by epoch and by seed and is a pure function of both") {
  const Batches batches(numbered(53, 5), params_of(8));
  const Pass first = train_pass(batches, 1);
  const Pass second = train_pass(batches, 2);
  CHECK(first.numbers != range(0, 53));
  CHECK(first.numbers != second.numbers);
  CHECK(train_pass(batches, 1).numbers == first.numbers);

  const Batches again(numbered(53, 5), params_of(8));
  CHECK(train_pass(again, 2).numbers == second.numbers);
  BatchParams other = params_of(8);
  other.seed = 8;
  CHECK(train_pass(Batches(numbered(53, 5), other), 1).numbers != first.numbers);
}

TEST_CASE("the order of an epoch is a Fisher-Yates shuffle by the documented stream") {
  std::vector<int> expected = range(0, 53);
  const RandomStream random(7, 0, 4, Purpose::shuffle);
  for (std::size_t i = 52; i > 0; --i) std::swap(expected[i], expected[random.below(i, i + 1)]);
  CHECK(train_pass(Batches(numbered(53, 5), params_of(8)), 4).numbers == expected);
}

TEST_CASE("without shuffling batches follow the order of the files") {
  BatchParams params = params_of(5);
  params.shuffle = false;
  const Batches batches(numbered(12, 7), params);
  CHECK(train_pass(batches, 1).numbers == range(0, 12));
  CHECK(train_pass(batches, 2).numbers == range(0, 12));
  CHECK(train_pass(batches, 1).sizes == std::vector<Index>{5, 5, 2});
}

TEST_CASE("evaluation reads the test images in file order with a last smaller batch") {
  const Batches batches(numbered(12, 7), params_of(5));
  CHECK(batches.evaluate_samples() == 7);
  CHECK(batches.evaluate_steps() == 2);
  const Pass pass = evaluate_pass(batches);
  CHECK(pass.numbers == range(100, 107));
  CHECK(pass.sizes == std::vector<Index>{5, 2});
  CHECK(pass.labels == std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6});
}

TEST_CASE("a batch size that divides the number of samples gives no empty batch") {
  const Batches batches(numbered(12, 8), params_of(4));
  CHECK(batches.train_steps_per_epoch() == 3);
  CHECK(batches.evaluate_steps() == 2);
  CHECK(Batches(numbered(12, 8), params_of(100)).train_steps_per_epoch() == 1);
}

TEST_CASE("limits keep the first samples of the files") {
  BatchParams params = params_of(5);
  params.train_limit = 6;
  params.test_limit = 3;
  const Batches batches(numbered(12, 7), params);
  CHECK(sorted(train_pass(batches, 1).numbers) == range(0, 6));
  CHECK(evaluate_pass(batches).numbers == range(100, 103));
  params.train_limit = 1000;
  CHECK(Batches(numbered(12, 7), params).train_samples() == 12);
}

TEST_CASE("validation samples are excluded from training and replace the test images") {
  BatchParams params = params_of(8);
  params.train_limit = 40;
  params.validation_samples = 11;
  const Batches batches(numbered(53, 5), params);
  CHECK(batches.train_samples() == 29);
  CHECK(batches.evaluate_samples() == 11);
  const std::vector<int> validation = evaluate_pass(batches).numbers;
  std::vector<int> all = train_pass(batches, 1).numbers;
  all.insert(all.end(), validation.begin(), validation.end());
  CHECK(sorted(all) == range(0, 40));
  CHECK(std::is_sorted(validation.begin(), validation.end()));
  // Drawn, not the first or the last of the file.
  CHECK(validation != range(0, 11));
  CHECK(validation != range(29, 40));

  CHECK(evaluate_pass(Batches(numbered(53, 5), params)).numbers == validation);
  params.seed = 8;
  CHECK(evaluate_pass(Batches(numbered(53, 5), params)).numbers != validation);
}

TEST_CASE("validation that leaves no training samples is refused") {
  BatchParams params = params_of(8);
  params.train_limit = 10;
  params.validation_samples = 10;
  CHECK(refusal_of([&] { Batches(numbered(53, 5), params); }) ==
        "validation_samples: found 10, expected fewer than the 10 training samples");
  params.validation_samples = 9;
  CHECK(Batches(numbered(53, 5), params).train_samples() == 1);
}

TEST_CASE("crops and mirrored images are pixels of the padded image and each placement occurs") {
  const DataSet data = numbered(200, 1);
  BatchParams params = params_of(50);
  params.shuffle = false;
  params.crop_padding = 1;
  params.horizontal_flip = true;
  const Batches batches(data, params);
  Matrix values;
  std::vector<std::uint32_t> labels;
  std::set<int> seen;
  for (int index = 0; index < 4; ++index) {
    load_train(batches, 3, index, values, labels);
    for (int column = 0; column < 50; ++column) {
      const int sample = index * 50 + column;
      // Reference: build the padded image, mirror it or not, crop, compare; exactly one placement
      // must match.
      std::vector<int> fits;
      for (int place = 0; place < 18; ++place) {
        const bool mirrored = place >= 9;
        const int top = place % 9 / 3;
        const int left = place % 3;
        bool same = true;
        for (int c = 0; c < channels; ++c) {
          std::vector<std::vector<int>> padded(height + 2, std::vector<int>(width + 2, 0));
          for (int y = 0; y < height; ++y)
            for (int x = 0; x < width; ++x)
              padded[static_cast<std::size_t>(y + 1)]
                    [static_cast<std::size_t>((mirrored ? width - 1 - x : x) + 1)] =
                        data.train.pixels[static_cast<std::size_t>(
                            ((sample * channels + c) * height + y) * width + x)];
          for (int y = 0; y < height; ++y)
            for (int x = 0; x < width; ++x) {
              const int byte =
                  padded[static_cast<std::size_t>(y + top)][static_cast<std::size_t>(x + left)];
              same =
                  same && values((c * height + y) * width + x, column) == normalised(data, c, byte);
            }
        }
        if (same) fits.push_back(place);
      }
      REQUIRE(fits.size() == 1);
      // The placement follows the documented stream: three numbers for each sample, by position in
      // the file.
      const RandomStream random(7, 0, 3, Purpose::augmentation);
      const auto first = static_cast<std::uint64_t>(sample) * 3;
      const auto down = static_cast<int>(random.below(first, 3)) - 1;
      const auto right = static_cast<int>(random.below(first + 1, 3)) - 1;
      const auto mirror = static_cast<int>(random.below(first + 2, 2));
      CHECK(fits[0] == mirror * 9 + (1 - down) * 3 + (1 - right));
      seen.insert(fits[0]);
    }
  }
  CHECK(seen.size() == 18);
}

TEST_CASE("half of the images are mirrored if horizontal_flip is set") {
  const DataSet data = numbered(200, 1);
  BatchParams params = params_of(200);
  params.shuffle = false;
  params.horizontal_flip = true;
  Matrix values;
  std::vector<std::uint32_t> labels;
  load_train(Batches(data, params), 1, 0, values, labels);
  int mirrored = 0;
  for (int sample = 0; sample < 200; ++sample) {
    const int first = data.train.pixels[static_cast<std::size_t>(sample * pixels)];
    const int last = data.train.pixels[static_cast<std::size_t>(sample * pixels + width - 1)];
    const bool is_mirrored = values(0, sample) == normalised(data, 0, last);
    CHECK((is_mirrored || values(0, sample) == normalised(data, 0, first)));
    mirrored += is_mirrored;
  }
  CHECK(mirrored > 70);
  CHECK(mirrored < 130);
}

TEST_CASE("augmentation is a pure function of epoch and sample and does not affect evaluation") {
  BatchParams params = params_of(8);
  params.shuffle = false;
  params.crop_padding = 2;
  params.horizontal_flip = true;
  const Batches batches(numbered(16, 16), params);
  const auto values_of = [](const Batches& of, std::uint64_t epoch, int index) {
    Matrix values;
    std::vector<std::uint32_t> labels;
    load_train(of, epoch, index, values, labels);
    return values;
  };
  const Matrix first = values_of(batches, 1, 1);
  CHECK(values_of(batches, 2, 1) != first);
  CHECK(values_of(batches, 1, 1) == first);
  // Another batch size, the same samples: the same images.
  params.batch_size = 16;
  const Batches larger(numbered(16, 16), params);
  CHECK(values_of(larger, 1, 0).rightCols(8) == first);
  CHECK(evaluate_pass(batches).numbers == range(100, 116));
}

TEST_CASE("an index beyond the last batch fails a check") {
  const Batches batches(numbered(12, 7), params_of(5));
  Matrix values;
  std::vector<std::uint32_t> labels;
  CHECK_THROWS_AS(load_train(batches, 1, 3, values, labels), InvariantViolated);
  CHECK_THROWS_AS(load_train(batches, 1, -1, values, labels), InvariantViolated);
  CHECK_THROWS_AS(load_train(batches, 0, 0, values, labels), InvariantViolated);
  CHECK_THROWS_AS(load_evaluate(batches, 2, values, labels), InvariantViolated);
  DataSet broken = numbered(3, 1);
  broken.train.pixels.pop_back();
  CHECK_THROWS_AS(Batches(broken, params_of(5)), InvariantViolated);
}
