// Cutting a data set into batches: limits, augmentation, normalisation.
#include "nodes/data/batches.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "core/random.hpp"
#include "nodes/base/failure.hpp"

namespace lateral {
namespace {

constexpr std::uint32_t source_node = 0;  // key of the source's random streams

// Identities of orders, for readers; the computation of the normalisation has 0.
constexpr std::uint64_t evaluate_order = 1;
constexpr std::uint64_t order_before_first_epoch = 1;

std::size_t limited(std::size_t n, int limit) {
  return limit == 0 ? n : std::min(n, static_cast<std::size_t>(limit));
}

int steps_of(std::size_t n_samples, int batch_size) {
  const auto size = static_cast<std::size_t>(batch_size);
  return static_cast<int>((n_samples + size - 1) / size);
}

void check_samples(const Samples& samples, const ImageShape& shape) {
  const auto pixels = static_cast<std::size_t>(shape.pixels());
  if (samples.array)
    LATERAL_CHECK(samples.array->row_values() == pixels);
  else
    LATERAL_CHECK(samples.pixels.size() == samples.count() * pixels);
  LATERAL_CHECK(shape.classes == 0 || samples.labels.size() == samples.count());
  for (const std::uint32_t label : samples.labels)
    LATERAL_CHECK(label < static_cast<std::uint32_t>(shape.classes));
  LATERAL_CHECK(samples.targets.size() ==
                samples.count() * static_cast<std::size_t>(shape.target_values));
}

}  // namespace

ImageShape cropped(ImageShape shape, int crop_size) {
  if (crop_size > 0) shape.height = shape.width = crop_size;
  return shape;
}

void check_last_batch(std::size_t train_samples, int batch_size) {
  if (train_samples % static_cast<std::size_t>(batch_size) != 1) return;
  throw UserError(fmt::format(
      "learning.batch_size {} leaves one of {} training samples for the last batch, and "
      "decorrelation.demean is batch; expected another batch size, another data.train_limit, or "
      "demean: running",
      batch_size, train_samples));
}

Batches::Batches(DataSet data, const BatchParams& params)
    : data_(std::move(data)), params_(params), shape_(cropped(data_.shape, params.crop_size)) {
  LATERAL_CHECK(params.batch_size > 0);
  LATERAL_CHECK(params.train_limit >= 0);
  LATERAL_CHECK(params.test_limit >= 0);
  LATERAL_CHECK(params.validation_samples >= 0);
  LATERAL_CHECK(params.crop_padding >= 0);
  LATERAL_CHECK(shape_.height <= data_.shape.height && shape_.width <= data_.shape.width);
  check_samples(data_.train, data_.shape);
  check_samples(data_.test, data_.shape);
  for (auto [part, samples] :
       {std::pair{&train_part_, &data_.train}, std::pair{&test_part_, &data_.test}}) {
    part->samples = samples;
    if (samples->array) part->reader.emplace(*samples, params.buffer_samples);
  }

  train_ = first_positions(limited(data_.train.count(), params.train_limit));
  evaluate_ = first_positions(limited(data_.test.count(), params.test_limit));
  if (params.validation_samples > 0) {
    const auto n_validation = static_cast<std::size_t>(params.validation_samples);
    if (n_validation >= train_.size())
      throw UserError(
          fmt::format("validation_samples: found {}, expected fewer than the {} training samples",
                      n_validation, train_.size()));
    split_positions(train_, evaluate_, n_validation, params.seed, 0);
  }
  set_normalization();
}

void Batches::set_normalization() {
  const auto channels = static_cast<std::size_t>(data_.shape.channels);
  if (data_.mean.empty()) {
    Normalization constants{std::vector<float>(channels, 0), std::vector<float>(channels, 1)};
    if (params_.normalize == Normalize::constants)
      constants = params_.constants;
    else if (params_.normalize != Normalize::none)
      constants = normalization_of(*train_part_.reader, train_, data_.shape, params_.normalize);
    data_.mean.assign(constants.mean.begin(), constants.mean.end());
    data_.standard_deviation.assign(constants.standard_deviation.begin(),
                                    constants.standard_deviation.end());
  }
  LATERAL_CHECK(data_.standard_deviation.size() == data_.mean.size());
  LATERAL_CHECK(data_.mean.size() == channels ||
                data_.mean.size() == static_cast<std::size_t>(data_.shape.pixels()));
  if (data_.train.array) return;
  LATERAL_CHECK(data_.mean.size() == channels);
  for (std::size_t channel = 0; channel < channels; ++channel) {
    std::array<Scalar, 256> table{};
    for (std::size_t byte = 0; byte < table.size(); ++byte)
      table[byte] =
          static_cast<Scalar>((static_cast<double>(byte) / data_.unit - data_.mean[channel]) /
                              data_.standard_deviation[channel]);
    normalised_.push_back(table);
  }
}

int Batches::train_steps_per_epoch() const { return steps_of(train_.size(), params_.batch_size); }

int Batches::evaluate_steps() const { return steps_of(evaluate_.size(), params_.batch_size); }

Batches::Batch Batches::batch_of(const Positions& order, std::uint64_t order_id, int index) const {
  LATERAL_CHECK(index >= 0);
  const auto size = static_cast<std::size_t>(params_.batch_size);
  const std::size_t first = static_cast<std::size_t>(index) * size;
  LATERAL_CHECK(first < order.size());
  return {order, order_id, first, std::min(size, order.size() - first)};
}

Index Batches::samples_of(const Positions& positions, int index) const {
  return static_cast<Index>(batch_of(positions, 0, index).count);
}

Batches::Batch Batches::train_batch(std::uint64_t epoch, int index) const {
  LATERAL_CHECK(epoch > 0);
  set_order(epoch);
  return batch_of(order_, order_before_first_epoch + epoch, index);
}

Batches::Batch Batches::evaluate_batch(int index) const {
  return batch_of(evaluate_, evaluate_order, index);
}

void Batches::train(std::uint64_t epoch, int index, MatrixRef values,
                    std::vector<std::uint32_t>& labels) const {
  const Batch batch = train_batch(epoch, index);
  LATERAL_CHECK(values.rows() == inputs());
  LATERAL_CHECK(values.cols() == static_cast<Index>(batch.count));
  labels.clear();
  for (std::size_t i = 0; i < batch.count; ++i) {
    const std::uint32_t sample = batch.order[batch.first + i];
    write_sample(train_part_, batch, i, random_placement(epoch, sample),
                 values.col(static_cast<Index>(i)).data());
    if (data_.shape.classes > 0) labels.push_back(data_.train.labels[sample]);
  }
}

void Batches::evaluate(int index, MatrixRef values, std::vector<std::uint32_t>& labels) const {
  const Batch batch = evaluate_batch(index);
  LATERAL_CHECK(values.rows() == inputs());
  LATERAL_CHECK(values.cols() == static_cast<Index>(batch.count));
  labels.clear();
  for (std::size_t i = 0; i < batch.count; ++i) {
    write_sample(evaluated(), batch, i, centre(), values.col(static_cast<Index>(i)).data());
    if (data_.shape.classes > 0)
      labels.push_back(evaluated().samples->labels[batch.order[batch.first + i]]);
  }
}

namespace {

void copy_targets(const Samples& samples, const Positions& order, std::size_t first,
                  MatrixRef targets) {
  const auto values = static_cast<std::size_t>(targets.rows());
  for (Index i = 0; i < targets.cols(); ++i)
    std::copy_n(samples.targets.begin() + static_cast<std::ptrdiff_t>(
                                              order[first + static_cast<std::size_t>(i)] * values),
                values, targets.col(i).data());
}

}  // namespace

void Batches::train_targets(std::uint64_t epoch, int index, MatrixRef targets) const {
  LATERAL_CHECK(targets.rows() == data_.shape.target_values);
  const Batch batch = train_batch(epoch, index);
  copy_targets(data_.train, batch.order, batch.first, targets);
}

void Batches::evaluate_targets(int index, MatrixRef targets) const {
  LATERAL_CHECK(targets.rows() == data_.shape.target_values);
  const Batch batch = evaluate_batch(index);
  copy_targets(*evaluated().samples, batch.order, batch.first, targets);
}

void Batches::set_order(std::uint64_t epoch) const {
  if (order_epoch_ == epoch) return;
  order_ = params_.shuffle ? shuffled(train_, params_.buffer_samples, params_.seed, epoch) : train_;
  order_epoch_ = epoch;
}

Batches::Placement Batches::centre() const {
  return {.down = -(data_.shape.height - shape_.height) / 2,
          .right = -(data_.shape.width - shape_.width) / 2};
}

Batches::Placement Batches::random_placement(std::uint64_t epoch, std::uint32_t sample) const {
  if (params_.crop_padding == 0 && params_.crop_size == 0 && !params_.horizontal_flip) return {};
  // Keyed by the sample's position in the file, so that shuffling does not change its augmentation.
  const RandomStream random(params_.seed, source_node, epoch, Purpose::augmentation);
  const std::uint64_t first = std::uint64_t{3} * sample;
  const auto draw = [&](std::uint64_t element, int stored, int cropped_to) {
    const int range = stored - cropped_to + 2 * params_.crop_padding;
    const auto offset = random.below(element, static_cast<std::uint64_t>(range) + 1);
    return static_cast<int>(offset) - range + params_.crop_padding;
  };
  return {.down = draw(first, data_.shape.height, shape_.height),
          .right = draw(first + 1, data_.shape.width, shape_.width),
          .mirrored = params_.horizontal_flip && random.below(first + 2, 2) == 1};
}

template <class Value, class Normalised>
void Batches::place(const Value* image, Placement placement, const Normalised& normalised,
                    Scalar* out) const {
  const int height = data_.shape.height;
  const int width = data_.shape.width;
  const auto pixels = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  const bool as_stored = placement.down == 0 && placement.right == 0 && !placement.mirrored &&
                         shape_.height == height && shape_.width == width;
  for (int channel = 0; channel < shape_.channels; ++channel) {
    const auto c = static_cast<std::size_t>(channel);
    if (as_stored) {
      for (std::size_t i = 0; i < pixels; ++i) *out++ = normalised(image[i], c, i);
    } else {
      for (int y = 0; y < shape_.height; ++y)
        for (int x = 0; x < shape_.width; ++x) {
          const int from_y = y - placement.down;
          const int from_x = x - placement.right;
          const bool inside = from_y >= 0 && from_y < height && from_x >= 0 && from_x < width;
          const int column = placement.mirrored ? width - 1 - from_x : from_x;
          const auto i = static_cast<std::size_t>(inside ? from_y * width + column : 0);
          // Padding is 0, before normalisation.
          *out++ = normalised(inside ? image[i] : Value{0}, c, i);
        }
    }
    image += pixels;
  }
}

void Batches::write_sample(Part& part, const Batch& batch, std::size_t i, Placement placement,
                           Scalar* out) const {
  const std::size_t position = batch.first + i;
  if (!part.reader) {
    const std::uint8_t* image =
        part.samples->pixels.data() +
        batch.order[position] * static_cast<std::size_t>(data_.shape.pixels());
    return place(
        image, placement,
        [&](std::uint8_t byte, std::size_t channel, std::size_t) {
          return normalised_[channel][byte];
        },
        out);
  }
  const auto channels = static_cast<std::size_t>(data_.shape.channels);
  const std::size_t pixels = static_cast<std::size_t>(data_.shape.pixels()) / channels;
  const bool per_channel = data_.mean.size() == channels;
  place(
      part.reader->read(batch.order, batch.order_id, position), placement,
      [&](float value, std::size_t channel, std::size_t pixel) {
        const std::size_t k = per_channel ? channel : channel * pixels + pixel;
        return static_cast<Scalar>((static_cast<double>(value) - data_.mean[k]) /
                                   data_.standard_deviation[k]);
      },
      out);
}

}  // namespace lateral
