// From a file to rows in tables, with a clear refusal at every step.
#include "nodes/plugin/open_plugin.hpp"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "core/plugin.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/name.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& file, const std::string& reason) {
  throw UserError("plug-in " + file.string() + ": " + reason);
}

void check_build(const fs::path& file, const std::string& bytes) {
  if (!bytes.starts_with("\x7f"
                         "ELF"))
    refuse(file, "no shared library, expected one");

  static const std::string mark{LATERAL_PLUGIN_MARK};
  const std::size_t at = bytes.find(mark);
  if (at == std::string::npos)
    refuse(file, "no plug-in of lateral, expected LATERAL_PLUGIN({\"name\", function}) in it");
  constexpr std::size_t build_bytes_max = 256;
  std::string build = bytes.substr(at + mark.size(), build_bytes_max);
  build = build.substr(0, build.find('\0'));
  if (build != LATERAL_PLUGIN_BUILD)
    refuse(file, "was built for " + build +
                     "; this is " LATERAL_PLUGIN_BUILD "; expected the same: build it again");
}

void add_rule(const fs::path& file, const PluginRule& rule) {
  const std::string name{rule.name};
  if (!is_name(name))
    refuse(file, "has a rule called '" + name + "', expected 1 to 64 letters, digits, '_' and '-'");
  const bool added = std::visit(
      [&](auto* make) {
        if (make == nullptr) refuse(file, "has no function that makes " + name);
        return add_entry(TableEntry<std::remove_pointer_t<decltype(make)>>{rule.name, make});
      },
      rule.make);
  if (!added) refuse(file, "has a rule called " + name + ", which is taken; expected another name");
}

}  // namespace

std::string read_plugin(const fs::path& file) {
  std::error_code missing;
  if (!fs::is_regular_file(file, missing)) refuse(file, "no such file, expected a shared library");
  if (const auto bytes = fs::file_size(file, missing); bytes > plugin_bytes_max)
    refuse(file,
           std::to_string(bytes) + " bytes, expected at most " + std::to_string(plugin_bytes_max));
  std::ifstream stream{file, std::ios::binary};
  if (!stream) refuse(file, "cannot be read");
  return {std::istreambuf_iterator<char>{stream}, {}};
}

void open_plugin(const fs::path& file, const std::string& bytes) {
  check_build(file, bytes);
  // From memory: the file at its path may have been replaced since its bytes were read. The library
  // is never closed, since the tables point into it; nor is the descriptor, by whose number dlopen
  // tells plug-ins apart.
  const int memory = ::memfd_create(file.filename().c_str(), MFD_CLOEXEC);
  std::size_t written = 0;
  while (memory >= 0 && written < bytes.size()) {
    const ssize_t count = ::write(memory, bytes.data() + written, bytes.size() - written);
    if (count <= 0) break;
    written += static_cast<std::size_t>(count);
  }
  if (written < bytes.size())
    refuse(file, std::string("cannot be loaded: ") + std::strerror(errno));
  const std::string loaded = "/proc/self/fd/" + std::to_string(memory);
  void* library = ::dlopen(loaded.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) refuse(file, std::string("cannot be opened: ") + ::dlerror());
  const auto* rules = static_cast<const PluginRules*>(::dlsym(library, "lateral_plugin_rules"));
  if (rules == nullptr || rules->empty())
    refuse(file, "has no rules, expected LATERAL_PLUGIN({\"name\", function}) in it");
  for (const PluginRule& rule : *rules) add_rule(file, rule);
}

}  // namespace lateral
