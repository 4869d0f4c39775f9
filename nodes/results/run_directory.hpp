// RunFiles and RunDirectory: the names of the files of a run, and the folder in which it writes
// them.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "nodes/base/file.hpp"

namespace lateral {

/// The names of the files of a run in this folder, whether they exist or not.
class RunFiles {
 public:
  explicit RunFiles(std::filesystem::path path) : path_{std::move(path)} {}

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path experiment() const { return path_ / "experiment.textproto"; }
  std::filesystem::path metrics() const { return path_ / "metrics.csv"; }
  std::filesystem::path probes() const { return path_ / "probes.csv"; }
  std::filesystem::path machine() const { return path_ / "machine.json"; }
  std::filesystem::path data() const { return path_ / "data.json"; }
  std::filesystem::path summary() const { return path_ / "summary.json"; }
  std::filesystem::path recording() const { return path_ / "recording.h5"; }
  std::filesystem::path checkpoint() const { return path_ / "checkpoint.h5"; }
  /// The checkpoint before checkpoint().
  std::filesystem::path previous_checkpoint() const { return path_ / "checkpoint.previous.h5"; }
  std::filesystem::path log(const std::string& node) const {
    return path_ / "log" / (node + ".log");
  }

 private:
  std::filesystem::path path_;
};

/// Makes an empty folder runs/NAME-YYYYMMDD-HHMMSS, or with -2, -3, … appended: no other process
/// gets the same one.  Throws UserError.
std::filesystem::path make_default_folder(const std::string& name);

class RunDirectory : public RunFiles {
 public:
  /// Makes the folder.  Throws UserError if it exists and is not empty, or cannot be made.
  static RunDirectory create(const std::filesystem::path& path);
  /// An existing run, for reading.  Throws UserError if it lacks its experiment or its checkpoint.
  static RunDirectory open(const std::filesystem::path& path);
  /// An existing run, to be continued.  Throws UserError also if another run is writing to it.
  static RunDirectory reopen(const std::filesystem::path& path);
  /// Makes runs/NAME-YYYYMMDD-HHMMSS, or with -2, -3, … appended if that exists.
  static RunDirectory create_named(const std::string& experiment_name);

  /// Removes a folder made by create() for a run that never began, so that the same command can be
  /// repeated.
  void discard() const;

 private:
  using RunFiles::RunFiles;
  void lock();

  std::shared_ptr<const FileLock> lock_;  // of the folder, against other runs
  bool created_ = false;
  bool existed_ = false;  // before create(), as an empty folder
};

}  // namespace lateral
