// The program `lateral`: prepares its process, runs its command line, and reports failures.
#include <fcntl.h>
#include <google/protobuf/stubs/logging.h>
#include <malloc.h>
#include <unistd.h>

#include <csignal>
#include <iostream>

#include "nodes/base/failure.hpp"
#include "nodes/command/command.hpp"

namespace {

/// Opens descriptors 0 to 2 that are closed, so that no file or socket gets their numbers. Writing
/// to one that was closed fails, as it would without this.
void open_standard_descriptors() {
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(standard, F_GETFD) < 0) ::open("/dev/null", O_RDONLY);  // the lowest that is free
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // writing beyond a limit of file size then fails with a reason
  google::protobuf::SetLogHandler(nullptr);  // parse errors are reported by the caller
  // Message bodies are allocated and freed in every step: keep their memory instead of returning it
  // to the system.
  mallopt(M_MMAP_THRESHOLD, 256 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  mallopt(M_ARENA_MAX, 1);  // further arenas would return freed memory to the system
  try {
    return lateral::run_command_line(argc, argv);
  } catch (...) {
    const lateral::Failure failure = lateral::describe_failure(std::current_exception());
    std::cerr << "lateral: " << failure.message << std::endl;
    return static_cast<int>(failure.code);
  }
}
