// A user's data file, opened for reading at any position.
#include "nodes/data/reader/input_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "nodes/base/failure.hpp"

namespace lateral {

InputFile::InputFile(const std::filesystem::path& file, const std::string& expected)
    : name_{file.string()} {
  // O_NONBLOCK: a named pipe is refused below and not waited for.
  descriptor_ = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) {
    if (errno == ENOENT)
      throw UserError(fmt::format("{}: not found, expected {}", name_, expected));
    throw UserError(fmt::format("{}: cannot be opened: {}", name_, std::strerror(errno)));
  }
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw UserError(fmt::format("{}: not a regular file, expected {}", name_, expected));
  }
  size_ = static_cast<std::size_t>(status.st_size);
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read(std::size_t offset, std::span<std::uint8_t> out) const {
  while (!out.empty()) {
    const ssize_t n = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw UserError(fmt::format("{}: cannot be read: {}", name_, std::strerror(errno)));
    if (n == 0)
      throw UserError(
          fmt::format("{}: ends at byte {}, expected {} more (was it changed while it "
                      "was open?)",
                      name_, offset, out.size()));
    out = out.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::size_t>(n);
  }
}

}  // namespace lateral
