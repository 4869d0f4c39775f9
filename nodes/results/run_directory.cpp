// Making, refusing and removing run directories; atomic files.
#include "nodes/results/run_directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>

#include "nodes/base/failure.hpp"

namespace lateral {

namespace fs = std::filesystem;

RunDirectory RunDirectory::create(const fs::path& path) {
  RunDirectory directory{path};
  std::error_code failure;
  directory.existed_ = fs::exists(path, failure);
  if (directory.existed_ && (!fs::is_directory(path, failure) || !fs::is_empty(path, failure)))
    throw UserError("--out " + path.string() +
                    ": exists and is not an empty folder, expected a new one");
  fs::create_directories(path / "log", failure);
  if (failure) throw UserError("--out " + path.string() + ": cannot be made: " + failure.message());
  directory.created_ = true;
  directory.lock();
  return directory;
}

RunDirectory RunDirectory::open(const fs::path& path) {
  RunDirectory directory{path};
  std::error_code failure;
  const bool has_previous = fs::is_regular_file(directory.previous_checkpoint(), failure);
  for (const fs::path& file : {directory.experiment(), directory.checkpoint()})
    if (!fs::is_regular_file(file, failure) && !(has_previous && file == directory.checkpoint()))
      throw UserError(path.string() + ": not the folder of a run, expected " +
                      file.filename().string() + " in it");
  return directory;
}

RunDirectory RunDirectory::reopen(const fs::path& path) {
  RunDirectory directory = open(path);
  std::error_code failure;
  fs::create_directories(path / "log", failure);
  if (failure) throw UserError(path.string() + ": cannot be written: " + failure.message());
  directory.lock();
  return directory;
}

void RunDirectory::lock() {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0)
    throw UserError(path_.string() + ": cannot be opened: " + std::strerror(errno));
  lock_ = std::shared_ptr<const int>(new int(descriptor), [](const int* d) {
    ::close(*d);
    delete d;
  });
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0)
    throw UserError(path_.string() +
                    ": another run is writing to this folder, expected one at a time");
}

fs::path RunDirectory::default_path(const std::string& experiment_name) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
  const fs::path path = fs::path("runs") / (experiment_name + "-" + stamp);
  constexpr int tries_max = 1000;
  for (int i = 1; i < tries_max; ++i) {
    const fs::path candidate = i == 1 ? path : fs::path(path.string() + "-" + std::to_string(i));
    if (!fs::exists(candidate)) return candidate;
  }
  throw UserError(path.string() + ": taken, expected a free name; give one by --out");
}

void RunDirectory::discard() const {
  if (!created_) return;
  std::error_code ignored;
  if (existed_) {
    for (const fs::directory_entry& entry : fs::directory_iterator(path_, ignored))
      fs::remove_all(entry.path(), ignored);
  } else {
    fs::remove_all(path_, ignored);
  }
}

void sync_and_rename(const fs::path& temporary, const fs::path& path, Disk& disk) {
  disk.sync(temporary);
  disk.rename(temporary, path);
  disk.sync_folder(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

void write_atomically(const fs::path& path, const std::string& content) {
  const fs::path temporary = path.string() + ".tmp";
  {
    std::ofstream file{temporary, std::ios::binary};
    file << content;
    if (!file.flush()) {
      const int reason = errno;
      std::error_code ignored;
      fs::remove(temporary, ignored);
      throw UserError(temporary.string() + ": cannot be written: " + std::strerror(reason));
    }
  }
  sync_and_rename(temporary, path, real_disk());
}

}  // namespace lateral
