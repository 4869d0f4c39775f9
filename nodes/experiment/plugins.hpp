// The plug-ins of this process: each is loaded once, and identified by the digest of its bytes.
#pragma once

#include <string>
#include <vector>

namespace lateral {

struct Plugin {
  std::string file;    ///< absolute
  std::string sha256;  ///< of its bytes, hexadecimal
};

inline constexpr std::size_t plugins_max = 64;

/// Adds the rules of the file to the tables, unless a plug-in of the same digest has been loaded.
///   sha256: the digest that is expected, or empty
/// REQUIRES: no other thread reads the tables of rules.  Throws UserError.
void load_plugin(const std::string& file, const std::string& sha256 = "");

/// In the order in which they were loaded.
const std::vector<Plugin>& loaded_plugins();

}  // namespace lateral
