// Launcher: starts the nodes of a run, stops them, and reports their end.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "nodes/launch/run_watch.hpp"
#include "transport/link.hpp"

namespace lateral {

/// How the nodes of a launcher can fail.
struct LauncherProperties {
  /// A single node can be lost, and a replacement be started.
  bool replaces_nodes = false;
  /// A link to a node may break although both sides continue to run, and is reconnected.
  bool links_break = false;
  /// When an inactive node counts as lost; none where a single node cannot become inactive.
  std::optional<SilenceLimits> silence;
};

struct LauncherEvents {
  /// A node has connected; the link has its name.
  std::function<void(std::unique_ptr<Link>)> linked;
  /// The process of a node has ended.
  std::function<void(const NodeEnd&)> ended;
};

/// All functions are called on the thread of one executor, on which all events are reported.
class Launcher {
 public:
  virtual ~Launcher() = default;
  virtual LauncherProperties properties() const = 0;
  /// To be called before the first start().
  void report_to(LauncherEvents events) { events_ = std::move(events); }
  /// Starts a process of this node, which connects to the coordinator.
  /// Throws NetworkError if it cannot be started.
  virtual void start(const std::string& node, std::uint32_t generation) = 0;
  /// Ends the process of this node at once, if there is one. Its end is not reported.
  virtual void stop(const std::string& node) = 0;
  /// Reports events until it is cancelled.
  virtual awaitable<void> run() = 0;
  /// After run(), when no link is used any more: waits for all nodes to end, those that can be
  /// stopped no longer than `time`.
  virtual awaitable<void> finish(std::chrono::milliseconds time) = 0;

 protected:
  const LauncherEvents& events() const { return events_; }

 private:
  LauncherEvents events_;
};

}  // namespace lateral
