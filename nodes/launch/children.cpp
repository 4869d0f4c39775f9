// fork, exec, and the end of every child.
#include "nodes/launch/children.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include "nodes/base/digest.hpp"
#include "nodes/base/failure.hpp"

namespace lateral {

void Children::start(const std::string& name, const std::vector<std::string>& arguments,
                     const std::filesystem::path& log, const std::optional<Secret>& secret) {
  const auto fail = [&](const char* what) {
    throw NetworkError(fmt::format("cannot start '{}': {}: {}", name, what, std::strerror(errno)));
  };
  const std::string hex =
      secret ? to_hex({reinterpret_cast<const char*>(secret->data()), secret->size()}) : "";
  int pipe_ends[2];
  if (::pipe2(pipe_ends, O_CLOEXEC) != 0) fail("pipe");
  // The capacity of a pipe far exceeds these 64 bytes, so this does not wait for the child.
  const char* failed = nullptr;  // the first call that failed, and its error
  int failed_errno = 0;
  const auto check = [&](bool succeeded, const char* what) {
    if (succeeded || failed != nullptr) return;
    failed = what;
    failed_errno = errno;
  };
  check(::write(pipe_ends[1], hex.data(), hex.size()) == static_cast<ssize_t>(hex.size()),
        "write to a pipe");
  ::close(pipe_ends[1]);
  const int log_file =
      ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
  const int log_errno = log_file < 0 ? errno : 0;
  check(log_file >= 0, "log");
  const int no_input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  check(no_input >= 0, "/dev/null");

  std::vector<std::string> words{kind_ == Kind::node ? "lateral: " + name : "lateral"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  // As this program was found, for systems without /proc.
  const char* const program = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  constexpr int cannot_execute = 126;  // as shells report it
  const pid_t parent = ::getpid();
  const pid_t child = failed == nullptr ? ::fork() : -1;
  check(child >= 0, "fork");
  if (child == 0) {
    // Only calls that are safe between fork and exec.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(static_cast<int>(ExitCode::network));
    if (kind_ == Kind::node) {
      ::signal(SIGINT, SIG_IGN);
      ::signal(SIGTERM, SIG_IGN);
      ::signal(SIGHUP, SIG_IGN);
    } else {
      ::setpgid(0, 0);
      ::signal(SIGTERM, SIG_DFL);
    }
    ::dup2(no_input, STDIN_FILENO);
    ::dup2(log_file, STDOUT_FILENO);
    ::dup2(log_file, STDERR_FILENO);
    if (pipe_ends[0] == secret_descriptor)
      ::fcntl(secret_descriptor, F_SETFD, 0);
    else
      ::dup2(pipe_ends[0], secret_descriptor);
    ::execv("/proc/self/exe", argv.data());
    ::execv(program, argv.data());
    constexpr std::string_view message = "lateral: cannot be executed\n";
    if (::write(STDERR_FILENO, message.data(), message.size()) < 0) ::_exit(cannot_execute);
    ::_exit(cannot_execute);
  }
  ::close(pipe_ends[0]);
  if (log_file >= 0) ::close(log_file);
  if (no_input >= 0) ::close(no_input);
  if (log_errno != 0)
    throw UserError(
        fmt::format("{}: cannot be written: {}", log.string(), std::strerror(log_errno)));
  if (failed != nullptr) {
    errno = failed_errno;
    fail(failed);
  }
  running_[child] = name;
}

std::vector<Children::Ended> Children::reap() {
  std::vector<Ended> ended;
  for (auto at = running_.begin(); at != running_.end();) {
    int status = 0;
    if (::waitpid(at->first, &status, WNOHANG) == at->first) {
      if (!at->second.empty()) ended.push_back({at->second, at->first, status});
      at = running_.erase(at);
    } else {
      ++at;
    }
  }
  return ended;
}

void Children::kill(const std::string& name) {
  for (auto& [pid, child] : running_) {
    if (child != name) continue;
    ::kill(pid, SIGKILL);
    child.clear();
  }
}

void Children::signal_all(int signal) {
  for (const auto& [pid, name] : running_) ::kill(pid, signal);
}

void Children::wait_all(std::chrono::milliseconds time) {
  constexpr std::chrono::milliseconds poll_interval{5};
  for (auto waited = std::chrono::milliseconds{0}; waited < time && !running_.empty();
       waited += poll_interval) {
    reap();
    if (!running_.empty()) std::this_thread::sleep_for(poll_interval);
  }
  signal_all(SIGKILL);
  for (const auto& [pid, name] : running_) ::waitpid(pid, nullptr, 0);
  running_.clear();
}

std::string describe_status(int status) {
  if (!WIFSIGNALED(status)) return fmt::format("ended with exit code {}", WEXITSTATUS(status));
  const int signal = WTERMSIG(status);
  return fmt::format("was killed by signal {} ({})", signal, ::strsignal(signal));
}

}  // namespace lateral
