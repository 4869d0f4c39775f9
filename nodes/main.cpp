// The program `lateral`: prepares its process, runs its command line, and reports failures.
#include <google/protobuf/stubs/logging.h>
#include <malloc.h>

#include <csignal>
#include <iostream>

#include "nodes/base/failure.hpp"
#include "nodes/command/command.hpp"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
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
