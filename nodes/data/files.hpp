// Reading and unpacking data files within a size limit, and their error messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace lateral {

/// Throws UserError "FILE: at byte OFFSET: found FOUND, expected EXPECTED".
[[noreturn]] void refuse_data(std::string_view file, std::size_t offset, std::string_view found,
                              std::string_view expected);

/// `root` (the folder given by --data) joined with a path inside it. Throws UserError if no folder
/// was given.
std::filesystem::path data_path(const std::filesystem::path& root, std::string_view inside);

/// As read_bytes(), but the error for a missing file names the option --data.
///   expected: the expected content of the file, for messages
std::vector<std::uint8_t> read_data_file(const std::filesystem::path& file, std::size_t bytes_max,
                                         std::string_view expected);

/// Decompresses the members of a gzip file, one after another. Throws UserError if it is corrupt,
/// truncated, followed by other bytes, or unpacks to more than `bytes_max`: the limit bounds memory
/// use.
std::vector<std::uint8_t> gunzip(std::span<const std::uint8_t> packed, std::string_view file,
                                 std::size_t bytes_max);

}  // namespace lateral
