// Child processes, and the socket at which the coordinator accepts them.
#include "nodes/launch/local_launcher.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <csignal>

#include "nodes/base/name.hpp"

namespace lateral {

LocalLauncher::LocalLauncher(const asio::any_io_executor& executor,
                             const std::string& configuration_digest, const LocalSockets& sockets,
                             std::optional<RunDirectory> directory, const Log& log)
    : sockets_{sockets}, directory_{std::move(directory)}, child_signals_{executor, SIGCHLD} {
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
                  directory_ ? directory_->log(node) : "/dev/null", reception_->secret());
}

awaitable<void> LocalLauncher::run() {
  std::vector<awaitable<void>> tasks;
  tasks.push_back(reception_->run());
  tasks.push_back(report_ends());
  co_await run_until_first_ends(std::move(tasks));
}

awaitable<void> LocalLauncher::report_ends() {
  for (;;) {
    for (const Children::Ended& child : children_.reap()) {
      NodeEnd end{child.name, generation_.at(child.name), std::nullopt,
                  fmt::format("(pid {}) {}", child.pid, describe_status(child.status))};
      if (WIFEXITED(child.status)) end.exit_code = WEXITSTATUS(child.status);
      events().ended(end);
    }
    co_await child_signals_.async_wait(use_awaitable);
  }
}

awaitable<void> LocalLauncher::finish(std::chrono::milliseconds time) {
  reception_.reset();  // a node that lost its link must not wait for an answer
  children_.wait_all(time);
  co_return;
}

}  // namespace lateral
