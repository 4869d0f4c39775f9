// RunDirectory: the folder of one run, made once and never mixed with another.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "nodes/results/disk.hpp"

namespace lateral {

class RunDirectory {
 public:
  /// Makes the folder.  Throws UserError if it exists and is not empty, or cannot be made.
  static RunDirectory create(const std::filesystem::path& path);
  /// An existing run, to read.  Throws UserError if it lacks its experiment or its checkpoint.
  static RunDirectory open(const std::filesystem::path& path);
  /// The same, to go on with.  Throws UserError also if another run is writing to it.
  static RunDirectory reopen(const std::filesystem::path& path);
  /// runs/NAME-YYYYMMDD-HHMMSS, with a number behind it if that is taken.
  static std::filesystem::path default_path(const std::string& experiment_name);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path experiment() const { return path_ / "experiment.textproto"; }
  std::filesystem::path metrics() const { return path_ / "metrics.csv"; }
  std::filesystem::path probes() const { return path_ / "probes.csv"; }
  std::filesystem::path summary() const { return path_ / "summary.json"; }
  std::filesystem::path recording() const { return path_ / "recording.h5"; }
  std::filesystem::path checkpoint() const { return path_ / "checkpoint.h5"; }
  /// The one before checkpoint().
  std::filesystem::path previous_checkpoint() const { return path_ / "checkpoint.previous.h5"; }
  std::filesystem::path log(const std::string& node) const {
    return path_ / "log" / (node + ".log");
  }

  /// Removes a folder made by create() for a run that never began, so that nothing half-written
  /// stays and the same command can be given again.
  void discard() const;

 private:
  explicit RunDirectory(std::filesystem::path path) : path_{std::move(path)} {}
  void lock();

  std::filesystem::path path_;
  std::shared_ptr<const int>
      lock_;  // a descriptor, locked against other runs until the last copy goes
  bool created_ = false;
  bool existed_ = false;  // empty, before create()
};

/// Writes a file whole or not at all: temporary file, fsync, rename, fsync of the folder.
/// Throws UserError naming the file and the system's reason.
void write_atomically(const std::filesystem::path& path, const std::string& content);
/// The last two steps of that, for a temporary file that somebody else has written.
void sync_and_rename(const std::filesystem::path& temporary, const std::filesystem::path& path,
                     Disk& disk);

}  // namespace lateral
