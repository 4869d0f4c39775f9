// SocketFolder: a folder for the Unix sockets of a run, accessible only to this user.
#pragma once

#include <filesystem>
#include <optional>

#include "nodes/base/file.hpp"

namespace lateral {

/// Removed with the object. If its process was killed, the next SocketFolder removes it.
class SocketFolder {
 public:
  /// Throws UserError if no folder can be made.
  SocketFolder();
  ~SocketFolder();
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  /// Removes sibling folders that contain a coordinator's socket and are not locked.
  void remove_orphans() const;

  std::filesystem::path path_;
  std::optional<FileLock> lock_;
};

}  // namespace lateral
