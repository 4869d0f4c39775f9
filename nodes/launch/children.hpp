// Children: child processes that run this program and do not outlive it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "transport/handshake.hpp"

namespace lateral {

class Children {
 public:
  /// What the children are. Nodes ignore SIGINT, SIGTERM and SIGHUP, which are sent to whole
  /// process groups (Ctrl-C, batch systems): only the coordinator handles them. Runs are in process
  /// groups of their own, and handle the signals that they are sent.
  enum class Kind { node, run };
  explicit Children(Kind kind) : kind_{kind} {}
  /// No child outlives this object.
  ~Children() { wait_all(std::chrono::milliseconds{0}); }
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  /// Starts this program again with `arguments`; its output goes to the end of `log`. A node is
  /// shown as "lateral: NAME" in lists of processes. The secret,
  /// if there is one, passes through a pipe, never through arguments or environment. The kernel
  /// kills the child when this process ends for any reason.  Throws UserError if the log cannot be
  /// written, and NetworkError if the child cannot be started.
  void start(const std::string& name, const std::vector<std::string>& arguments,
             const std::filesystem::path& log, const std::optional<Secret>& secret);

  struct Ended {
    std::string name;
    pid_t pid;
    int status;  ///< as waitpid() gives it
  };
  /// The children that have ended since the last call.
  std::vector<Ended> reap();
  /// Kills this child, if it is running; its end is not reported.
  void kill(const std::string& name);
  void signal_all(int signal);
  std::size_t running() const { return running_.size(); }
  /// Waits for all to end; kills those that have not ended after `time`.
  void wait_all(std::chrono::milliseconds time);

 private:
  Kind kind_;
  std::map<pid_t, std::string> running_;  // an empty name: its end is not reported
};

/// The descriptor from which a started node reads its secret, and its path on the command line.
inline constexpr int secret_descriptor = 3;
inline constexpr const char* secret_path = "/dev/fd/3";

/// "was killed by signal 9 (Killed)", "ended with exit code 1".
std::string describe_status(int status);

}  // namespace lateral
