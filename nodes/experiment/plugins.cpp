// Which plug-ins are loaded, and whether a file is still the one that it was.
#include "nodes/experiment/plugins.hpp"

#include <algorithm>

#include "nodes/base/failure.hpp"
#include "nodes/plugin/open_plugin.hpp"
#include "transport/handshake.hpp"

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
    throw UserError("plug-in " + path.string() + ": its SHA-256 is " + digest + ", expected " +
                    one_line(expected) + ": it is not the file that the experiment was run with");
  if (is_loaded(digest)) return;
  if (plugins().size() >= plugins_max)
    throw UserError("plug-in " + path.string() + ": one too many, expected at most " +
                    std::to_string(plugins_max));
  open_plugin(path, bytes);
  plugins().push_back({path.string(), digest});
}

const std::vector<Plugin>& loaded_plugins() { return plugins(); }

}  // namespace lateral
