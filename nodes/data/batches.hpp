// Batches: the batches of a data set, as a pure function of (data, parameters, epoch, index).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/types.hpp"
#include "nodes/data/dataset.hpp"

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
};

/// Cuts a data set into normalised batches. A batch is (inputs × samples): a sample a column,
/// its values in the order of the bytes. Only training batches are augmented.
/// One thread at a time: the order of the current epoch is stored between calls.
class Batches {
 public:
  /// Throws UserError if validation would leave no training samples.
  /// REQUIRES: batch_size > 0, the other counts ≥ 0, data consistent with its shape.
  Batches(DataSet data, const BatchParams& params);

  /// Including the last, smaller batch.
  int train_steps_per_epoch() const;
  int evaluate_steps() const;
  std::size_t train_samples() const { return train_.size(); }
  /// The number of validation samples if there are any, otherwise of test images.
  std::size_t evaluate_samples() const { return evaluate_.size(); }

  /// Values of a sample.
  Index inputs() const { return data_.shape.pixels(); }
  /// Samples of batch `index` (from 0), in training and in evaluation.
  Index train_samples(int index) const { return samples_of(train_, index); }
  Index evaluate_samples(int index) const { return samples_of(evaluate_, index); }
  /// Batch `index` (from 0) of `epoch` (from 1); does not depend on earlier calls.
  ///   values (inputs × train_samples(index))
  void train(std::uint64_t epoch, int index, MatrixRef values,
             std::vector<std::uint32_t>& labels) const;
  /// Batch `index` (from 0), in file order.
  ///   values (inputs × evaluate_samples(index))
  void evaluate(int index, MatrixRef values, std::vector<std::uint32_t>& labels) const;

 private:
  struct Placement {
    int down = 0, right = 0;  // shift of the image, in pixels
    bool mirrored = false;    // before the shift
  };

  Index samples_of(const std::vector<std::uint32_t>& positions, int index) const;
  void set_order(std::uint64_t epoch) const;
  Placement placement(std::uint64_t epoch, std::uint32_t sample) const;
  void write_sample(const Images& images, std::uint32_t sample, Placement placement,
                    Scalar* out) const;

  DataSet data_;
  BatchParams params_;
  std::vector<std::array<Scalar, 256>> normalised_;  // per channel, by byte
  std::vector<std::uint32_t> train_;                 // positions in data_.train, file order
  std::vector<std::uint32_t> evaluate_;              // positions in train or test, file order
  mutable std::uint64_t order_epoch_ = 0;            // epochs count from 1
  mutable std::vector<std::uint32_t> order_;         // train_ in the order of that epoch
};

}  // namespace lateral
