// The digest by which the data of a run are recognised.
#pragma once

#include <string>
#include <vector>

#include "nodes/data/dataset.hpp"

namespace lateral {

/// SHA-256 of both parts: of each its number of samples, the shape of a sample, all values, and
/// labels or targets, in file order. Values and targets are float32 (little-endian), of formats
/// with a normalisation of their own single bytes; a label is the name of its class, or its number.
/// So the same samples have the same digest in every format of users' files. Reads all values.
/// Throws UserError for values that are missing or not finite.
///   class_names: of the description; may be empty
std::string digest_of(const DataSet& data, const std::vector<std::string>& class_names);

}  // namespace lateral
