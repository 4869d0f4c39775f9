// Normalization of values: its constants, given or computed from the training samples.
#pragma once

#include "nodes/data/dataset.hpp"
#include "nodes/data/sample_reader.hpp"

namespace lateral {

/// Which constants normalise the values of users' files.
enum class Normalize {
  none,       ///< the values are used as they are
  feature,    ///< a mean and a standard deviation for each value of a sample
  channel,    ///< one for each channel; a sample without channels has one
  constants,  ///< those of the experiment
};

/// Mean and population standard deviation over the samples of `positions` in their order, by
/// Welford's algorithm in double precision. A standard deviation of 0, of a value that does not
/// vary, becomes 1.  REQUIRES: normalize is feature or channel; the reader has not been used with
/// order 0
Normalization normalization_of(SampleReader& reader, const Positions& positions,
                               const ImageShape& shape, Normalize normalize);

}  // namespace lateral
