// SocketFolder: a folder for the Unix sockets of a run that only this user can enter.
#pragma once

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>

#include "nodes/failure.hpp"

namespace lateral {

/// Removed by remove(), as soon as nobody needs it, or with the object.
class SocketFolder {
 public:
  SocketFolder() {
    const char* base = std::getenv("TMPDIR");
    std::string pattern =
        std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/lateral-XXXXXX";
    // The address of a Unix socket holds 107 characters, and a node name has up to 64.
    if (pattern.size() > 36) pattern = "/tmp/lateral-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr)
      throw UserError(pattern + ": cannot make a folder for sockets: " + std::strerror(errno));
    path_ = pattern;
  }
  ~SocketFolder() { remove(); }
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;
  void remove() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    path_.clear();
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace lateral
