// InProcessLauncher: all nodes of a run within this process, for debuggers.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nodes/experiment/experiment.hpp"
#include "nodes/launch/launcher.hpp"
#include "nodes/results/run_directory.hpp"
#include "transport/task.hpp"

namespace lateral {

/// Nodes share the thread that waits, and compute each on a thread of its own. None of them can be
/// stopped alone, nor be silent alone: a debugger stops all.
class InProcessLauncher final : public Launcher {
 public:
  /// `experiment` must outlive it. `directory`: has the logs of the nodes; none: they write none.
  InProcessLauncher(const asio::any_io_executor& executor, const Experiment& experiment,
                    std::optional<RunDirectory> directory);

  LauncherProperties properties() const override { return {false, false, std::nullopt}; }
  void start(const std::string& node, std::uint32_t generation) override;
  /// Not possible: a node ends when its link to the coordinator is closed.
  void stop(const std::string& node) override;
  awaitable<void> run() override;
  /// Waits without limit.
  awaitable<void> finish(std::chrono::milliseconds time) override;

 private:
  asio::any_io_executor executor_;
  const Experiment& experiment_;
  std::optional<RunDirectory> directory_;
  std::map<std::string, std::vector<std::unique_ptr<Link>>> links_;  // of nodes not yet started
  std::size_t running_ = 0;
  Changed ended_;
};

}  // namespace lateral
