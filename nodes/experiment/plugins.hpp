// The plug-ins of this process: each is loaded once, and known by the digest of its bytes.
#pragma once

#include <string>
#include <vector>

namespace lateral {

struct Plugin {
  std::string file;    ///< absolute
  std::string sha256;  ///< of its bytes, hexadecimal
};

inline constexpr std::size_t plugins_max = 64;

/// Adds the file's rules to the tables, unless that has been done. `sha256`: of the bytes that are
/// expected, or empty; a plug-in with them that is loaded from elsewhere will do. Not while other
/// threads look at rules.  Throws UserError.
void load_plugin(const std::string& file, const std::string& sha256 = "");

/// In the order in which they were loaded.
const std::vector<Plugin>& loaded_plugins();

}  // namespace lateral
