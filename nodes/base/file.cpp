// Reading, replacing and locking files.
#include "nodes/base/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "nodes/base/disk.hpp"
#include "nodes/base/failure.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

template <class Content>
Content read(const fs::path& file, std::size_t bytes_max, std::string_view what) {
  std::error_code failure;
  const fs::file_status status = fs::status(file, failure);
  if (!fs::exists(status)) throw UserError(fmt::format("{}: no such {}", file.string(), what));
  if (!fs::is_regular_file(status))
    throw UserError(fmt::format("{}: not a regular file, expected {}", file.string(), what));
  const std::uintmax_t size = fs::file_size(file, failure);
  if (failure)
    throw UserError(fmt::format("{}: cannot be read: {}", file.string(), failure.message()));
  if (size > bytes_max)
    throw UserError(
        fmt::format("{}: {} bytes, expected at most {}", file.string(), size, bytes_max));

  Content content;
  content.resize(static_cast<std::size_t>(size));
  std::ifstream stream{file, std::ios::binary};
  if (!stream)
    throw UserError(fmt::format("{}: cannot be read: {}", file.string(), std::strerror(errno)));
  stream.read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(size));
  if (static_cast<std::uintmax_t>(stream.gcount()) != size)
    throw UserError(fmt::format("{}: cannot be read: ends at byte {}, expected {} bytes",
                                file.string(), stream.gcount(), size));
  return content;
}

}  // namespace

std::string read_file(const fs::path& file, std::size_t bytes_max, std::string_view what) {
  return read<std::string>(file, bytes_max, what);
}

std::string read_text_file(const fs::path& file, std::size_t bytes_max, std::string_view what) {
  std::error_code failure;
  const fs::file_status status = fs::status(file, failure);
  std::string text;
  if (fs::is_fifo(status) || fs::is_character_file(status)) {
    std::ifstream stream{file, std::ios::binary};
    text.resize(bytes_max + 1);
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(stream.gcount()));
    if (text.size() > bytes_max)
      throw UserError(
          fmt::format("{}: more than {} bytes, expected {}", file.string(), bytes_max, what));
    if (text.empty()) throw UserError(fmt::format("{}: empty, expected {}", file.string(), what));
  } else {
    text = read_file(file, bytes_max, what);
  }
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.erase(0, byte_order_mark.size());
  return text;
}

std::vector<std::uint8_t> read_bytes(const fs::path& file, std::size_t bytes_max,
                                     std::string_view what) {
  return read<std::vector<std::uint8_t>>(file, bytes_max, what);
}

bool write_bytes(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

void write_atomically(const fs::path& file, std::string_view content) {
  const fs::path temporary = file.string() + ".tmp";
  {
    // A new file, never the target of a link that somebody has put in its place.
    ::unlink(temporary.c_str());
    const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool is_written = descriptor >= 0 && write_bytes(descriptor, content);
    const int reason = errno;
    if (descriptor >= 0) is_written = ::close(descriptor) == 0 && is_written;
    if (!is_written) {
      ::unlink(temporary.c_str());
      throw UserError(
          fmt::format("{}: cannot be written: {}", temporary.string(), std::strerror(reason)));
    }
  }
  real_disk().sync(temporary);
  real_disk().rename(temporary, file);
  real_disk().sync_folder(folder_of(file));
}

std::string last_line(const fs::path& file) {
  constexpr std::streamoff read_max = 4096;
  constexpr std::size_t length_max = 1000;
  std::ifstream stream{file, std::ios::binary | std::ios::ate};
  stream.seekg(std::max(std::streamoff{0}, std::streamoff{stream.tellg()} - read_max));
  std::string line, last;
  while (std::getline(stream, line))
    if (!line.empty()) last = line;
  return last.substr(0, length_max);
}

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

std::optional<FileLock> FileLock::try_lock(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    throw UserError(fmt::format("{}: cannot be opened: {}", path.string(), std::strerror(errno)));
  FileLock lock{descriptor};
  int result = 0;
  do result = ::flock(descriptor, LOCK_EX | LOCK_NB);
  while (result != 0 && errno == EINTR);
  if (result != 0 && errno == EWOULDBLOCK) return std::nullopt;
  return lock;  // also where the file system has no locks
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_{std::exchange(other.descriptor_, -1)} {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace lateral
