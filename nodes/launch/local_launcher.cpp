// Child processes, and the socket at which the coordinator accepts them.
#include "nodes/launch/local_launcher.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <csignal>

#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/base/machine.hpp"
#include "nodes/base/name.hpp"

namespace lateral {

LocalLauncher::LocalLauncher(const asio::any_io_executor& executor,
                             const std::string& configuration_digest, const LocalSockets& sockets,
                             std::optional<RunDirectory> directory, const Log& log)
    : sockets_{sockets},
      directory_{std::move(directory)},
      child_signals_{executor, SIGCHLD},
      killed_for_memory_{processes_killed_for_memory()} {
  reception_.emplace(executor, address(coordinator_name), configuration_digest, sockets.plain_tcp,
                     log, [this](std::unique_ptr<Link> link) { events().linked(std::move(link)); });
}

std::string LocalLauncher::address(const std::string& file) const {
  return sockets_.tcp ? fmt::format("tcp:{}:0", sockets_.tcp_host)
                      : fmt::format("unix:{}", (folder_.path() / file).string());
}

void LocalLauncher::start(const std::string& node, std::uint32_t generation) {
  generation_[node] = generation;
  const std::string file = generation == 0 ? node : fmt::format("{}.{}", node, generation);
  children_.start(node, reception_->expect(node, generation, address(file), secret_path),
                  log_of(node), reception_->secret());
}

std::filesystem::path LocalLauncher::log_of(const std::string& node) const {
  return directory_ ? directory_->log(node) : folder_.path() / (node + ".log");
}

awaitable<void> LocalLauncher::run() {
  std::vector<awaitable<void>> tasks;
  tasks.push_back(reception_->run());
  tasks.push_back(report_ends());
  co_await run_until_first_ends(std::move(tasks));
}

NodeEnd LocalLauncher::describe_end(const Children::Ended& child) {
  NodeEnd end{child.name, generation_.at(child.name), std::nullopt,
              fmt::format("(pid {}) {}", child.pid, describe_status(child.status))};
  if (WIFEXITED(child.status)) {
    end.exit_code = WEXITSTATUS(child.status);
    // The log of a run that never began is deleted.
    if (const std::string last = last_line(log_of(child.name));
        *end.exit_code != 0 && !last.empty())
      end.description += fmt::format(", the end of its log: {}", one_line(last));
    return end;
  }
  const int signal = WTERMSIG(child.status);
  if (signal == SIGKILL) {
    const auto killed = processes_killed_for_memory();
    if (killed && killed_for_memory_ && *killed > *killed_for_memory_) {
      end.cause = NodeEnd::Cause::out_of_memory;
      end.description =
          fmt::format("(pid {}) was killed by the kernel for lack of memory", child.pid);
    }
    killed_for_memory_ = killed;
  }
  for (const int crash : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL})
    if (signal == crash) end.cause = NodeEnd::Cause::crash;
  return end;
}

awaitable<void> LocalLauncher::report_ends() {
  for (;;) {
    for (const Children::Ended& child : children_.reap()) events().ended(describe_end(child));
    co_await child_signals_.async_wait(use_awaitable);
  }
}

awaitable<void> LocalLauncher::finish(std::chrono::milliseconds time) {
  reception_.reset();  // a node that lost its link must not wait for an answer
  children_.wait_all(time);
  co_return;
}

}  // namespace lateral
