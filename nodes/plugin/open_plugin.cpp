// Checks the bytes of a plug-in, loads them, and adds its rules to the tables.
#include "nodes/plugin/open_plugin.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/plugin.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/base/name.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& file, const std::string& reason) {
  throw UserError(fmt::format("plug-in {}: {}", file.string(), reason));
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
    refuse(file, fmt::format("was built for {}; this is {}; expected the same: build it again",
                             build, LATERAL_PLUGIN_BUILD));
}

void add_rule(const fs::path& file, const PluginRule& rule) {
  const std::string name{rule.name};
  if (!is_name(name))
    refuse(
        file,
        fmt::format("has a rule called '{}', expected 1 to 64 letters, digits, '_' and '-'", name));
  const bool added = std::visit(
      [&](auto* make) {
        if (make == nullptr) refuse(file, fmt::format("has no function that makes {}", name));
        return add_entry(TableEntry<std::remove_pointer_t<decltype(make)>>{rule.name, make});
      },
      rule.make);
  if (!added)
    refuse(file, fmt::format("has a rule called {}, which is taken; expected another name", name));
}

}  // namespace

std::string read_plugin(const fs::path& file) {
  try {
    return read_file(file, plugin_bytes_max, "shared library");
  } catch (const UserError& error) {
    throw UserError(fmt::format("plug-in {}", error.what()));
  }
}

void open_plugin(const fs::path& file, const std::string& bytes) {
  check_build(file, bytes);
  // From memory: the file at its path may have been replaced since its bytes were read. The library
  // is never closed, since the tables point into it; nor is the descriptor, by whose number dlopen
  // distinguishes plug-ins.
  const int memory = ::memfd_create(file.filename().c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (memory < 0 || !write_bytes(memory, bytes))
    refuse(file, fmt::format("cannot be loaded: {}", std::strerror(errno)));
  ::fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  const std::string loaded = fmt::format("/proc/self/fd/{}", memory);
  void* library = ::dlopen(loaded.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) refuse(file, fmt::format("cannot be opened: {}", ::dlerror()));
  const auto* rules = static_cast<const PluginRules*>(::dlsym(library, "lateral_plugin_rules"));
  if (rules == nullptr || rules->empty())
    refuse(file, "has no rules, expected LATERAL_PLUGIN({\"name\", function}) in it");
  for (const PluginRule& rule : *rules) add_rule(file, rule);
}

}  // namespace lateral
