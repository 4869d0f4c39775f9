// Arrays of HDF5 files, by the path of their data set.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

#include "nodes/data/sample_array.hpp"

namespace lateral {

/// The largest chunk of a data set, which is unpacked as a whole.
constexpr std::size_t hdf5_chunk_bytes_max = std::size_t{1} << 28;

/// A data set of integers, real numbers, truth values or text (of fixed or variable length); stored
/// contiguously, compactly or in chunks; chunks plain or with the filters deflate (gzip), shuffle
/// and fletcher32. Rows are read from the file when they are asked for, so that a file may be
/// larger than memory. Refused, each by name: other types, layouts and filters, data in other
/// files, data sets without dimensions, and values that were never written. A file that another
/// program has open for writing is said to be that. Throws UserError.
std::unique_ptr<SampleArray> open_hdf5(const std::filesystem::path& file, const std::string& name);

}  // namespace lateral
