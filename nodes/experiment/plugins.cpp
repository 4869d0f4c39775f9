// Loads each plug-in once, and compares its digest with the recorded one.
#include "nodes/experiment/plugins.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "nodes/base/digest.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/plugin/open_plugin.hpp"

namespace lateral {
namespace {

std::vector<Plugin>& plugins() {
  static std::vector<Plugin> all;
  return all;
}

bool is_loaded(const std::string& sha256) {
  return std::any_of(plugins().begin(), plugins().end(),
                     [&](const Plugin& plugin) { return plugin.sha256 == sha256; });
}

}  // namespace

void load_plugin(const std::string& file, const std::string& expected) {
  if (is_loaded(expected)) return;
  const std::filesystem::path path = std::filesystem::absolute(file).lexically_normal();
  const std::string bytes = read_plugin(path);
  const std::string digest = to_hex(sha256(bytes));
  if (!expected.empty() && digest != expected)
    throw UserError(
        fmt::format("plug-in {}: its SHA-256 is {}, expected {}: it is not the file that the "
                    "experiment was run with",
                    path.string(), digest, one_line(expected)));
  if (is_loaded(digest)) return;
  if (plugins().size() >= plugins_max)
    throw UserError(
        fmt::format("plug-in {}: one too many, expected at most {}", path.string(), plugins_max));
  open_plugin(path, bytes);
  plugins().push_back({path.string(), digest});
}

const std::vector<Plugin>& loaded_plugins() { return plugins(); }

}  // namespace lateral
