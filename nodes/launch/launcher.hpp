// Launcher: starts the nodes of a run somewhere, stops them, and tells of their end.
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
  /// A node can be lost alone, and another be started in its place.
  bool replaces_nodes = false;
  /// A link to a node may break although both sides live, and is made again.
  bool links_break = false;
  /// How long a node may seem to do nothing; none where a node cannot fall silent alone.
  std::optional<SilenceLimits> silence;
};

struct LauncherEvents {
  /// A node has called; the link carries its name.
  std::function<void(std::unique_ptr<Link>)> linked;
  /// The process of a node has ended.
  std::function<void(const NodeEnd&)> ended;
};

/// All calls come from the thread of one executor, on which all events are reported.
class Launcher {
 public:
  virtual ~Launcher() = default;
  virtual LauncherProperties properties() const = 0;
  /// Before the first start().
  void report_to(LauncherEvents events) { events_ = std::move(events); }
  /// Starts a process of this node: one that calls the coordinator.
  /// Throws NetworkError if it cannot be started.
  virtual void start(const std::string& node, std::uint32_t generation) = 0;
  /// Ends whatever process of this node is there, at once. Its end is not reported.
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
