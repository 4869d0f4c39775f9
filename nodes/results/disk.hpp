// Disk: the calls that make a file survive a crash, and the one place where a simulation plays
// them.
#pragma once

#include <filesystem>

namespace lateral {

/// Each throws UserError naming the file and the system's reason.
class Disk {
 public:
  virtual ~Disk() = default;
  /// What has been written to the file is on the disk.
  virtual void sync(const std::filesystem::path& file);
  /// In one step, in the place of what had the new name.
  virtual void rename(const std::filesystem::path& from, const std::filesystem::path& to);
  /// The file has both names, `to` in the place of what had it; where the file system knows no
  /// second names, only the new one.
  virtual void link(const std::filesystem::path& from, const std::filesystem::path& to);
  /// The names in the folder are on the disk.
  virtual void sync_folder(const std::filesystem::path& folder);
};

/// The disk there is.
Disk& real_disk();

}  // namespace lateral
