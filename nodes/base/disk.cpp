// The system calls behind a Disk.
#include "nodes/base/disk.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "nodes/base/failure.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void cannot_write(const fs::path& path) {
  throw UserError(fmt::format("{}: cannot be written: {}", path.string(), std::strerror(errno)));
}

void sync_path(const fs::path& path, int flags) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC);
  if (file < 0) cannot_write(path);
  const int result = ::fsync(file);
  ::close(file);
  if (result != 0) cannot_write(path);
}

}  // namespace

void Disk::sync(const fs::path& file) { sync_path(file, O_RDONLY); }

void Disk::rename(const fs::path& from, const fs::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) cannot_write(to);
}

void Disk::link(const fs::path& from, const fs::path& to) {
  std::error_code failure;
  fs::remove(to, failure);
  fs::create_hard_link(from, to, failure);
  if (failure) rename(from, to);  // a file system without hard links
}

void Disk::sync_folder(const fs::path& folder) { sync_path(folder, O_RDONLY | O_DIRECTORY); }

Disk& real_disk() {
  static Disk disk;
  return disk;
}

}  // namespace lateral
