// Cutting a data set into batches: order, split, augmentation, normalisation.
#include "nodes/data/batches.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "core/check.hpp"
#include "core/random.hpp"
#include "nodes/base/failure.hpp"

namespace lateral {
namespace {

constexpr std::uint32_t source_node = 0;  // key of the source's random streams

std::size_t limited(std::size_t n, int limit) {
  return limit == 0 ? n : std::min(n, static_cast<std::size_t>(limit));
}

std::vector<std::uint32_t> first_positions(std::size_t n) {
  std::vector<std::uint32_t> positions(n);
  std::iota(positions.begin(), positions.end(), 0U);
  return positions;
}

/// Fisher–Yates, from the end down.
void shuffle_positions(std::vector<std::uint32_t>& positions, const RandomStream& random) {
  for (std::size_t i = positions.size(); i-- > 1;)
    std::swap(positions[i], positions[random.below(i, i + 1)]);
}

int steps_of(std::size_t n_samples, int batch_size) {
  const auto size = static_cast<std::size_t>(batch_size);
  return static_cast<int>((n_samples + size - 1) / size);
}

/// The positions in `order` that belong to batch `index`.
std::span<const std::uint32_t> batch_of(std::span<const std::uint32_t> order, int index,
                                        int batch_size) {
  LATERAL_CHECK(index >= 0);
  const std::size_t begin = static_cast<std::size_t>(index) * static_cast<std::size_t>(batch_size);
  LATERAL_CHECK(begin < order.size());
  return order.subspan(begin, std::min(static_cast<std::size_t>(batch_size), order.size() - begin));
}

void check_images(const Images& images, const ImageShape& shape) {
  const auto pixels = static_cast<std::size_t>(shape.pixels());
  LATERAL_CHECK(images.pixels.size() == images.count() * pixels);
  for (const std::uint8_t label : images.labels) LATERAL_CHECK(label < shape.classes);
}

}  // namespace

Batches::Batches(DataSet data, const BatchParams& params)
    : data_(std::move(data)), params_(params) {
  const ImageShape& shape = data_.shape;
  LATERAL_CHECK(params.batch_size > 0);
  LATERAL_CHECK(params.train_limit >= 0);
  LATERAL_CHECK(params.test_limit >= 0);
  LATERAL_CHECK(params.validation_samples >= 0);
  LATERAL_CHECK(params.crop_padding >= 0);
  LATERAL_CHECK(data_.mean.size() == static_cast<std::size_t>(shape.channels));
  LATERAL_CHECK(data_.standard_deviation.size() == data_.mean.size());
  check_images(data_.train, shape);
  check_images(data_.test, shape);

  for (std::size_t channel = 0; channel < data_.mean.size(); ++channel) {
    std::array<Scalar, 256> table{};
    for (std::size_t byte = 0; byte < table.size(); ++byte)
      table[byte] = static_cast<Scalar>((static_cast<double>(byte) / 255.0 - data_.mean[channel]) /
                                        data_.standard_deviation[channel]);
    normalised_.push_back(table);
  }

  train_ = first_positions(limited(data_.train.count(), params.train_limit));
  if (params.validation_samples == 0) {
    evaluate_ = first_positions(limited(data_.test.count(), params.test_limit));
    return;
  }

  const auto n_validation = static_cast<std::size_t>(params.validation_samples);
  if (n_validation >= train_.size())
    throw UserError(
        fmt::format("validation_samples: found {}, expected fewer than the {} training samples",
                    n_validation, train_.size()));
  shuffle_positions(train_, RandomStream(params.seed, source_node, 0, Purpose::validation_split));
  evaluate_.assign(train_.end() - params.validation_samples, train_.end());
  train_.resize(train_.size() - n_validation);
  std::sort(evaluate_.begin(), evaluate_.end());
  std::sort(train_.begin(), train_.end());
}

int Batches::train_steps_per_epoch() const { return steps_of(train_.size(), params_.batch_size); }

int Batches::evaluate_steps() const { return steps_of(evaluate_.size(), params_.batch_size); }

void Batches::train(std::uint64_t epoch, int index, Matrix& values,
                    std::vector<std::uint32_t>& labels) const {
  LATERAL_CHECK(epoch > 0);
  set_order(epoch);
  const auto batch = batch_of(order_, index, params_.batch_size);
  values.resize(data_.shape.pixels(), static_cast<Index>(batch.size()));
  labels.resize(batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    write_sample(data_.train, batch[i], placement(epoch, batch[i]),
                 values.col(static_cast<Index>(i)).data());
    labels[i] = data_.train.labels[batch[i]];
  }
}

void Batches::evaluate(int index, Matrix& values, std::vector<std::uint32_t>& labels) const {
  const Images& images = params_.validation_samples > 0 ? data_.train : data_.test;
  const auto batch = batch_of(evaluate_, index, params_.batch_size);
  values.resize(data_.shape.pixels(), static_cast<Index>(batch.size()));
  labels.resize(batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    write_sample(images, batch[i], {}, values.col(static_cast<Index>(i)).data());
    labels[i] = images.labels[batch[i]];
  }
}

void Batches::set_order(std::uint64_t epoch) const {
  if (order_epoch_ == epoch) return;
  order_ = train_;
  if (params_.shuffle)
    shuffle_positions(order_, RandomStream(params_.seed, source_node, epoch, Purpose::shuffle));
  order_epoch_ = epoch;
}

Batches::Placement Batches::placement(std::uint64_t epoch, std::uint32_t sample) const {
  Placement placement;
  if (params_.crop_padding == 0 && !params_.horizontal_flip) return placement;
  // Keyed by the sample's position in the file, so that shuffling does not change its augmentation.
  const RandomStream random(params_.seed, source_node, epoch, Purpose::augmentation);
  const std::uint64_t first = std::uint64_t{3} * sample;
  const auto n_offsets = static_cast<std::uint64_t>(params_.crop_padding) * 2 + 1;
  placement.down = static_cast<int>(random.below(first, n_offsets)) - params_.crop_padding;
  placement.right = static_cast<int>(random.below(first + 1, n_offsets)) - params_.crop_padding;
  placement.mirrored = params_.horizontal_flip && random.below(first + 2, 2) == 1;
  return placement;
}

void Batches::write_sample(const Images& images, std::uint32_t sample, Placement placement,
                           Scalar* out) const {
  const int height = data_.shape.height;
  const int width = data_.shape.width;
  const std::uint8_t* image =
      images.pixels.data() +
      static_cast<std::size_t>(sample) * static_cast<std::size_t>(data_.shape.pixels());
  const bool as_stored = placement.down == 0 && placement.right == 0 && !placement.mirrored;

  for (const std::array<Scalar, 256>& normalised : normalised_) {
    const int channel_pixels = height * width;
    if (as_stored) {
      for (int i = 0; i < channel_pixels; ++i) out[i] = normalised[image[i]];
    } else {
      for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
          const int from_y = y - placement.down;
          const int from_x = x - placement.right;
          const bool inside = from_y >= 0 && from_y < height && from_x >= 0 && from_x < width;
          const int column = placement.mirrored ? width - 1 - from_x : from_x;
          // Padding is the byte 0, before normalisation.
          out[y * width + x] = normalised[inside ? image[from_y * width + column] : 0];
        }
    }
    image += channel_pixels;
    out += channel_pixels;
  }
}

}  // namespace lateral
