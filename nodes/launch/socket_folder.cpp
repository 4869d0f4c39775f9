// A private folder below TMPDIR, locked for as long as it is in use.
#include "nodes/launch/socket_folder.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "nodes/base/failure.hpp"

namespace lateral {
namespace {

bool is_own(const std::filesystem::path& folder) {
  struct stat info {};
  return ::lstat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid();
}

}  // namespace

SocketFolder::SocketFolder() {
  const char* base = std::getenv("TMPDIR");
  std::string pattern =
      fmt::format("{}/lateral-XXXXXX", base != nullptr && *base != '\0' ? base : "/tmp");
  // The address of a Unix socket holds 107 characters, and a node name has up to 64.
  if (pattern.size() > 36) pattern = "/tmp/lateral-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr)
    throw UserError(
        fmt::format("{}: cannot make a folder for sockets: {}", pattern, std::strerror(errno)));
  path_ = pattern;
  lock_ = FileLock::try_lock(path_);
  remove_orphans();
}

SocketFolder::~SocketFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void SocketFolder::remove_orphans() const {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(path_.parent_path(), ignored)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("lateral-") || name.size() != path_.filename().string().size() ||
        !std::filesystem::exists(entry.path() / "coordinator", ignored) || !is_own(entry.path()))
      continue;
    try {
      if (const std::optional<FileLock> lock = FileLock::try_lock(entry.path()))
        std::filesystem::remove_all(entry.path(), ignored);
    } catch (const UserError&) {
      // Another process removed it first.
    }
  }
}

}  // namespace lateral
