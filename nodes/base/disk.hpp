// Disk: the calls that make a file survive a crash; a simulation replaces them by its own.
#pragma once

#include <filesystem>

namespace lateral {

/// Each call throws UserError naming the file and the system's reason.
class Disk {
 public:
  virtual ~Disk() = default;
  /// Returns once all that has been written to the file is on the disk.
  virtual void sync(const std::filesystem::path& file);
  /// Atomically replaces what had the new name.
  virtual void rename(const std::filesystem::path& from, const std::filesystem::path& to);
  /// Gives the file a second name, in place of what had it. On a file system without second names
  /// the file keeps the new name only.
  virtual void link(const std::filesystem::path& from, const std::filesystem::path& to);
  /// Returns once the names in the folder are on the disk.
  virtual void sync_folder(const std::filesystem::path& folder);
};

/// The disk of this machine.
Disk& real_disk();

}  // namespace lateral
