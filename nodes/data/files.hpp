// Reads whole files within a size limit, and says what is wrong with one in a single line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace lateral {

/// Throws DataError "FILE: at byte OFFSET: found FOUND, expected EXPECTED".
[[noreturn]] void refuse_data(std::string_view file, std::size_t offset, std::string_view found,
                              std::string_view expected);

/// Throws DataError for a file that is not there; `expected` says what it should have been.
[[noreturn]] void refuse_missing(const std::filesystem::path& file, std::string_view expected);

/// Joins --data with the path inside it; throws DataError if no folder was given.
std::filesystem::path data_path(const std::filesystem::path& root, std::string_view inside);

/// The bytes of a file. Throws DataError if it is missing (see refuse_missing), is no regular
/// file, cannot be read or holds more than `bytes_max`; the limit is checked before allocating.
std::vector<std::uint8_t> read_bytes(const std::filesystem::path& file, std::size_t bytes_max,
                                     std::string_view expected);

/// Decompresses one gzip member. Throws DataError if it is corrupt, truncated, followed by other
/// bytes, or unpacks to more than `bytes_max`: memory use is bounded by the limit, not the file.
std::vector<std::uint8_t> gunzip(std::span<const std::uint8_t> packed, std::string_view file,
                                 std::size_t bytes_max);

}  // namespace lateral
