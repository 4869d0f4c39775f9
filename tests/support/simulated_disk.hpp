// SimulatedDisk: a disk that loses unsynchronised data at a crash.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "nodes/base/disk.hpp"

namespace lateral {

/// Works in a real folder, and stores how to undo its actions. At a crash a file that was not
/// synced is truncated, and changes of names that were not synced are undone, the last ones first.
class SimulatedDisk final : public Disk {
 public:
  explicit SimulatedDisk(std::uint64_t seed) : random_{seed} {}

  void sync(const std::filesystem::path& file) override {
    // Never two consecutive ones: then no checkpoint would be intact, as on a real disk.
    lied_ = lies_left_ > 0 && !lied_ && random_() % 4 == 0;
    if (lied_)
      --lies_left_;
    else
      synced_.insert(inode(file));
  }
  void rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    remember(to);
    std::filesystem::rename(from, to);
  }
  void link(const std::filesystem::path& from, const std::filesystem::path& to) override {
    remember(to);
    std::filesystem::remove(to);
    std::filesystem::create_hard_link(from, to);
  }
  void sync_folder(const std::filesystem::path&) override {
    ++folder_syncs_;
    forget_changes();
  }
  int folder_syncs() const { return folder_syncs_; }

  /// Number of syncs to be lost from now on, at random times.
  void lose_syncs(int count) { lies_left_ = count; }
  int syncs_to_lose() const { return lies_left_; }

  /// Brings the folder into its state after a power failure.
  void crash(const std::filesystem::path& folder) {
    const std::size_t kept = changes_.empty() ? 0 : random_() % (changes_.size() + 1);
    while (changes_.size() > kept) {
      const Change change = changes_.back();
      changes_.pop_back();
      std::filesystem::remove(change.name);
      if (!change.before.empty()) std::filesystem::rename(change.before, change.name);
    }
    forget_changes();
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() != ".h5" || synced_.contains(inode(entry.path()))) continue;
      const auto size = entry.file_size();
      std::filesystem::resize_file(entry.path(), size * (random_() % 100) / 100);
    }
  }

 private:
  struct Change {
    std::filesystem::path name, before;
  };
  static std::uint64_t inode(const std::filesystem::path& file) {
    struct stat info {};
    return ::stat(file.c_str(), &info) == 0 ? info.st_ino : 0;
  }
  void forget_changes() {
    for (const Change& change : changes_)
      if (!change.before.empty()) std::filesystem::remove(change.before);
    changes_.clear();
  }
  /// Preserves the file of this name under another name.
  void remember(const std::filesystem::path& name) {
    Change change{name, {}};
    if (std::filesystem::exists(name)) {
      change.before = name.string() + ".before" + std::to_string(number_++);
      std::filesystem::create_hard_link(name, change.before);
    }
    changes_.push_back(change);
  }

  std::mt19937_64 random_;
  std::set<std::uint64_t> synced_;  // inodes
  std::vector<Change> changes_;     // of names, since the folder was synced
  int lies_left_ = 0, number_ = 0, folder_syncs_ = 0;
  bool lied_ = false;
};

}  // namespace lateral
