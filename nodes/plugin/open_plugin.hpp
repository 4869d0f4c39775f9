// Opens the shared library of a plug-in and adds its rules to the tables of core/.
#pragma once

#include <filesystem>
#include <string>

namespace lateral {

inline constexpr std::size_t plugin_bytes_max = std::size_t{256} << 20;

/// The bytes of the file.  Throws UserError.
std::string read_plugin(const std::filesystem::path& file);

/// `bytes`: the content of the file; the build that it was compiled for is read from them before
/// any of its code runs. REQUIRES: as add_entry().  Throws UserError naming the file, what is wrong
/// with it and what was expected; the tables may then contain some of its rules, so the program has
/// to end.
void open_plugin(const std::filesystem::path& file, const std::string& bytes);

}  // namespace lateral
