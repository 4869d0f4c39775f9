// What the fuzz targets share: which refusals are right, laws, and bytes as a file.
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

/// What every target defines: hands the bytes to a parser, and ends the program if it misbehaves.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace lateral::fuzz {

/// What every target defines: inputs to begin from, beside those in corpus/TARGET, made by the code
/// that writes such bytes.
std::vector<std::string> seeds();

[[noreturn]] inline void crash(const std::string& what) {
  std::fprintf(stderr, "fuzz: %s\n", what.c_str());
  std::abort();
}

inline void law(bool holds, const char* what) {
  if (!holds) crash(std::string("broken law: ") + what);
}

/// Whether `parse` accepts. The program has to tell a refusal as a mistake of the user's or of the
/// network; whatever else it throws is a crash.
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

/// A file that lies in memory only, for parsers that read files.
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

/// What `write`, called with the path of a new file, leaves there.
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
