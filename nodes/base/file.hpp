// Whole files: read within a size limit, written atomically; and locks on files and folders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lateral {

/// The content of a regular file. The limit is checked before memory is allocated.
///   what: the file that is expected, for messages: "experiment file"
/// Throws UserError:
///   FILE: no such WHAT
///   FILE: not a regular file, expected WHAT
///   FILE: N bytes, expected at most BYTES_MAX
///   FILE: cannot be read: REASON
std::string read_file(const std::filesystem::path& file, std::size_t bytes_max,
                      std::string_view what);
/// A text file that a user has written, without a byte order mark; also from a pipe or a terminal
/// (/dev/stdin), whose end is waited for.
std::string read_text_file(const std::filesystem::path& file, std::size_t bytes_max,
                           std::string_view what);
/// The same as bytes.
std::vector<std::uint8_t> read_bytes(const std::filesystem::path& file, std::size_t bytes_max,
                                     std::string_view what);

/// Writes all bytes to a descriptor, however many calls that takes. False, with errno, if it fails.
bool write_bytes(int descriptor, std::string_view bytes);

/// Writes a file completely or not at all: temporary file, fsync, rename, fsync of the folder.
/// Throws UserError naming the file and the system's reason.
void write_atomically(const std::filesystem::path& file, std::string_view content);

/// The last line of a text file that is not empty, at most 1000 bytes of it; empty if there is none
/// among the last 4096 bytes of the file, or the file cannot be read.
std::string last_line(const std::filesystem::path& file);

/// The folder that contains `file`: "." for a bare name.
std::filesystem::path folder_of(const std::filesystem::path& file);

/// An exclusive lock (flock) on a file or a folder, held until the object is destroyed. Where the
/// file system has no locks, nothing is locked, and the program goes on.
class FileLock {
 public:
  /// Nothing if the lock is held elsewhere; does not wait.
  /// Throws UserError if `path` cannot be opened.
  static std::optional<FileLock> try_lock(const std::filesystem::path& path);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_{descriptor} {}
  int descriptor_;
};

}  // namespace lateral
