// SocketFolder: a folder for the Unix sockets of a run, accessible only to this user.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>

#include "nodes/base/failure.hpp"

namespace lateral {

/// Removed with the object. If its process was killed, the next SocketFolder removes it.
class SocketFolder {
 public:
  SocketFolder() {
    const char* base = std::getenv("TMPDIR");
    std::string pattern =
        fmt::format("{}/lateral-XXXXXX", base != nullptr && *base != '\0' ? base : "/tmp");
    // The address of a Unix socket holds 107 characters, and a node name has up to 64.
    if (pattern.size() > 36) pattern = "/tmp/lateral-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr)
      throw UserError(
          fmt::format("{}: cannot make a folder for sockets: {}", pattern, std::strerror(errno)));
    path_ = pattern;
    lock_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ::flock(lock_, LOCK_EX | LOCK_NB);
    remove_orphans();
  }
  ~SocketFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
    if (lock_ >= 0) ::close(lock_);
  }
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  /// Removes sibling folders that contain a coordinator's socket and are not locked.
  void remove_orphans() const {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(path_.parent_path(), ignored)) {
      const std::string name = entry.path().filename();
      if (!name.starts_with("lateral-") || name.size() != path_.filename().string().size() ||
          !std::filesystem::exists(entry.path() / "coordinator", ignored))
        continue;
      const int folder = ::open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      struct stat info {};
      if (folder >= 0 && ::fstat(folder, &info) == 0 && info.st_uid == ::geteuid() &&
          ::flock(folder, LOCK_EX | LOCK_NB) == 0)
        std::filesystem::remove_all(entry.path(), ignored);
      if (folder >= 0) ::close(folder);
    }
  }

  std::filesystem::path path_;
  int lock_ = -1;
};

}  // namespace lateral
