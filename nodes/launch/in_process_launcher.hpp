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

/// Nodes share the event-loop thread; each computes on a thread of its own. A single node can
/// neither be stopped nor become silent: a debugger stops all of them.
class InProcessLauncher final : public Launcher {
 public:
  /// `experiment` must outlive it. `directory`: for the logs of the nodes; none: no logs are
  /// written.
  InProcessLauncher(const asio::any_io_executor& executor, const Experiment& experiment,
                    std::optional<RunDirectory> directory);

  LauncherProperties properties() const override { return {false, false, std::nullopt}; }
  void start(const std::string& node, std::uint32_t generation) override;
  /// Not possible: a node ends when its link to the coordinator is closed.
  void stop(const std::string& node) override;
  awaitable<void> run() override;
  /// Waits without a time limit.
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
