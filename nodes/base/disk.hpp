// Disk: the system calls that make a file survive a crash; a simulation overrides them.
#pragma once

#include <filesystem>

namespace lateral {

/// Each call throws UserError naming the file and the system's reason.
class Disk {
 public:
  virtual ~Disk() = default;
  /// Returns when all data written to the file are on the disk.
  virtual void sync(const std::filesystem::path& file);
  /// Renames the file atomically; a file that had the new name is replaced.
  virtual void rename(const std::filesystem::path& from, const std::filesystem::path& to);
  /// Gives the file a second name (a hard link); a file that had this name is replaced. On a file
  /// system without hard links the file is renamed instead.
  virtual void link(const std::filesystem::path& from, const std::filesystem::path& to);
  /// Returns when the names in the folder are on the disk.
  virtual void sync_folder(const std::filesystem::path& folder);
};

/// The disk of this machine.
Disk& real_disk();

}  // namespace lateral
