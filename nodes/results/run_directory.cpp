// Making, opening, locking and removing run directories.
#include "nodes/results/run_directory.hpp"

#include <fmt/format.h>

#include <ctime>

#include "nodes/base/failure.hpp"

namespace lateral {

namespace fs = std::filesystem;

RunDirectory RunDirectory::create(const fs::path& path) {
  RunDirectory directory{path};
  std::error_code failure;
  directory.existed_ = fs::exists(path, failure);
  if (directory.existed_ && (!fs::is_directory(path, failure) || !fs::is_empty(path, failure)))
    throw UserError(fmt::format("--out {}: exists and is not an empty folder, expected a new one",
                                path.string()));
  fs::create_directories(path / "log", failure);
  if (failure)
    throw UserError(fmt::format("--out {}: cannot be made: {}", path.string(), failure.message()));
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
      throw UserError(fmt::format("{}: not the folder of a run, expected {} in it", path.string(),
                                  file.filename().string()));
  return directory;
}

RunDirectory RunDirectory::reopen(const fs::path& path) {
  RunDirectory directory = open(path);
  std::error_code failure;
  fs::create_directories(path / "log", failure);
  if (failure)
    throw UserError(fmt::format("{}: cannot be written: {}", path.string(), failure.message()));
  directory.lock();
  return directory;
}

void RunDirectory::lock() {
  std::optional<FileLock> lock = FileLock::try_lock(path());
  if (!lock)
    throw UserError(fmt::format("{}: another run is writing to this folder, expected one at a time",
                                path().string()));
  lock_ = std::make_shared<const FileLock>(*std::move(lock));
}

fs::path make_default_folder(const std::string& name) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
  const fs::path path = fs::path("runs") / fmt::format("{}-{}", name, stamp);
  std::error_code failure;
  fs::create_directories(path.parent_path(), failure);
  constexpr int tries_max = 1000;
  for (int i = 1; i < tries_max && !failure; ++i) {
    const fs::path candidate = i == 1 ? path : fs::path(fmt::format("{}-{}", path.string(), i));
    if (fs::create_directory(candidate, failure)) return candidate;
  }
  throw UserError(fmt::format("{}: cannot be made: {}; choose another name with --out",
                              path.string(), failure ? failure.message() : "it exists"));
}

RunDirectory RunDirectory::create_named(const std::string& experiment_name) {
  RunDirectory directory = create(make_default_folder(experiment_name));
  directory.existed_ = false;  // before this call
  return directory;
}

void RunDirectory::discard() const {
  if (!created_) return;
  std::error_code ignored;
  if (existed_) {
    for (const fs::directory_entry& entry : fs::directory_iterator(path(), ignored))
      fs::remove_all(entry.path(), ignored);
  } else {
    fs::remove_all(path(), ignored);
  }
}

}  // namespace lateral
