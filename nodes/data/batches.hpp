// Batches: the batches of a data set, as a pure function of (data, parameters, epoch, index).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/types.hpp"
#include "nodes/data/dataset.hpp"
#include "nodes/data/normalization.hpp"
#include "nodes/data/sample_order.hpp"
#include "nodes/data/sample_reader.hpp"

namespace lateral {

struct BatchParams {
  int batch_size = 256;
  bool shuffle = true;           ///< false: the files' order in every epoch
  int train_limit = 0;           ///< at most the first N in file order; 0 = all
  int test_limit = 0;            ///< the same for the test images
  int validation_samples = 0;    ///< > 0: number of training samples excluded for evaluation
  int crop_padding = 0;          ///< > 0: zero pixels added on each side before cropping
  bool horizontal_flip = false;  ///< mirrors a training image with probability 1/2
  std::uint64_t seed = 0;
  int crop_size = 0;  ///< > 0: height and width to which images are cropped, in evaluation at the
                      ///< centre
  std::size_t buffer_samples = 0;  ///< > 0: at most this many samples of a part are in memory
  Normalize normalize = Normalize::none;  ///< of data without a normalisation of their own
  Normalization constants = {};           ///< with Normalize::constants
};

/// The shape of the samples in batches: that of the data, cropped.
ImageShape cropped(ImageShape shape, int crop_size);

/// Throws UserError if the last batch of an epoch has a single sample, whose mean is the sample.
void check_last_batch(std::size_t train_samples, int batch_size);

/// Cuts a data set into normalised batches. A batch is (inputs × samples): a sample a column,
/// its values in the order of the data. Only training batches are augmented.
/// One thread at a time: the order of the current epoch is stored between calls.
class Batches {
 public:
  /// Throws UserError if validation would leave no training samples, and what reading users' files
  /// throws.
  /// REQUIRES: batch_size > 0, the other counts ≥ 0, data consistent with its shape.
  Batches(DataSet data, const BatchParams& params);
  Batches(const Batches&) = delete;
  Batches& operator=(const Batches&) = delete;

  /// Including the last, smaller batch.
  int train_steps_per_epoch() const;
  int evaluate_steps() const;
  std::size_t train_samples() const { return train_.size(); }
  /// The number of validation samples if there are any, otherwise of test samples.
  std::size_t evaluate_samples() const { return evaluate_.size(); }

  /// Values of a sample.
  Index inputs() const { return shape_.pixels(); }
  /// The constants by which values are normalised: one a channel or one a value.
  const std::vector<double>& mean() const { return data_.mean; }
  const std::vector<double>& standard_deviation() const { return data_.standard_deviation; }
  /// Samples of batch `index` (from 0), in training and in evaluation.
  Index train_samples(int index) const { return samples_of(train_, index); }
  Index evaluate_samples(int index) const { return samples_of(evaluate_, index); }
  /// Batch `index` (from 0) of `epoch` (from 1); does not depend on earlier calls.
  ///   values (inputs × train_samples(index)); labels: empty without classes
  void train(std::uint64_t epoch, int index, MatrixRef values,
             std::vector<std::uint32_t>& labels) const;
  /// Batch `index` (from 0), in file order.
  ///   values (inputs × evaluate_samples(index))
  void evaluate(int index, MatrixRef values, std::vector<std::uint32_t>& labels) const;
  /// The targets of the same batches.
  ///   targets (target_values × samples)
  void train_targets(std::uint64_t epoch, int index, MatrixRef targets) const;
  void evaluate_targets(int index, MatrixRef targets) const;

 private:
  struct Placement {
    int down = 0, right = 0;  // shift of the image, in pixels
    bool mirrored = false;    // before the shift
  };
  /// One part of the data, and the reader of its values if they are numbers.
  struct Part {
    const Samples* samples = nullptr;
    std::optional<SampleReader> reader;
  };
  struct Batch {
    const Positions& order;
    std::uint64_t order_id;
    std::size_t first, count;
  };

  Index samples_of(const Positions& positions, int index) const;
  Batch batch_of(const Positions& order, std::uint64_t order_id, int index) const;
  Batch train_batch(std::uint64_t epoch, int index) const;
  Batch evaluate_batch(int index) const;
  Part& evaluated() const { return params_.validation_samples > 0 ? train_part_ : test_part_; }
  void set_order(std::uint64_t epoch) const;
  Placement centre() const;
  Placement random_placement(std::uint64_t epoch, std::uint32_t sample) const;
  void set_normalization();
  void write_sample(Part& part, const Batch& batch, std::size_t i, Placement placement,
                    Scalar* out) const;
  /// Writes an image shifted and cropped; `normalised(value, channel, pixel)`.
  template <class Value, class Normalised>
  void place(const Value* image, Placement placement, const Normalised& normalised,
             Scalar* out) const;

  DataSet data_;
  BatchParams params_;
  ImageShape shape_;                                 // of the samples in batches
  std::vector<std::array<Scalar, 256>> normalised_;  // per channel, by byte; for bytes
  Positions train_;                                  // positions in data_.train, file order
  Positions evaluate_;                               // positions in train or test, file order
  mutable Part train_part_, test_part_;
  mutable std::uint64_t order_epoch_ = 0;  // epochs count from 1
  mutable Positions order_;                // train_ in the order of that epoch
};

}  // namespace lateral
