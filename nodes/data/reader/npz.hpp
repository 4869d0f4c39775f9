// NPZ: several arrays by name, in one ZIP archive, as NumPy's savez() and savez_compressed() write.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

#include "nodes/data/sample_array.hpp"

namespace lateral {

/// The largest number of arrays in an archive.
constexpr std::size_t npz_members_max = 65'536;
/// The largest array that is loaded.
constexpr std::size_t npz_array_bytes_max = std::size_t{1} << 38;

/// Loads the array of that name (member NAME.npy; stored or deflated) into memory, in the type that
/// it has in the file. Larger arrays belong in NPY or HDF5, which are read by pieces.
/// Throws UserError for an archive that is truncated, encrypted, contradicts itself or has a name
/// twice; if there is no such name, the message lists those that there are.
std::unique_ptr<SampleArray> open_npz(const std::filesystem::path& file, const std::string& name);

}  // namespace lateral
