// Shared by the fuzz targets: valid errors, checks of properties, and bytes as a file.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "nodes/base/failure.hpp"

/// Defined by every target: passes the bytes to a parser, and ends the program if a property is
/// violated.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace lateral::fuzz {

/// Defined by every target: initial inputs in addition to those in corpus/TARGET, made by the code
/// that writes such bytes.
std::vector<std::string> seeds();

[[noreturn]] inline void crash(const std::string& what) {
  std::fprintf(stderr, "fuzz: %s\n", what.c_str());
  std::abort();
}

inline void check_property(bool holds, const char* what) {
  if (!holds) crash(std::string("property violated: ") + what);
}

/// Whether `parse` accepts the input. Errors must be those of the user or of the network; any other
/// exception is a crash.
template <class Parse>
bool accepts(Parse&& parse) {
  try {
    parse();
    return true;
  } catch (const std::bad_alloc&) {
    crash("out of memory");
  } catch (...) {
    const Failure failure = describe_failure(std::current_exception());
    if (failure.code != ExitCode::user_error && failure.code != ExitCode::network)
      crash(failure.message);
    if (failure.message.empty()) crash("a refusal without a reason");
    return false;
  }
}

inline std::string text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// A file in memory, for parsers that read files.
class MemoryFile {
 public:
  MemoryFile() : descriptor_{::memfd_create("fuzz", MFD_CLOEXEC)} {
    if (descriptor_ < 0) crash("no file in memory");
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  void write(const std::uint8_t* data, std::size_t size) {
    if (::ftruncate(descriptor_, 0) != 0 ||
        ::pwrite(descriptor_, data, size, 0) != static_cast<ssize_t>(size))
      crash("no room for a file in memory");
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

/// The content that `write` puts into a new file, to whose path it is applied.
template <class Write>
std::string written_by(Write&& write) {
  char folder[] = "/dev/shm/lateral-fuzz-XXXXXX";
  if (::mkdtemp(folder) == nullptr) crash("no temporary folder");
  const std::string file = std::string(folder) + "/file";
  write(file);
  std::ifstream stream{file, std::ios::binary};
  std::string bytes{std::istreambuf_iterator<char>{stream}, {}};
  std::remove(file.c_str());
  std::remove(folder);
  return bytes;
}

}  // namespace lateral::fuzz
