// WorkExecutor: where a node computes, and for how long.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <optional>

#include "nodes/runtime/node_session.hpp"
#include "transport/task.hpp"

namespace lateral {

/// Runs the tasks of a session on a thread of its own, so that what was sent leaves and heartbeats
/// are sent meanwhile; or, while a kind of work takes less time than the change of threads, on the
/// thread that waits.
class WorkExecutor {
 public:
  /// `alone`: no other node uses the thread that waits.
  explicit WorkExecutor(bool alone) : alone_{alone} {}

  awaitable<void> run(NodeSession::Task task);
  /// Waits for a task that is still running, and runs no other.
  void stop();
  /// How long the present work has taken so far, and the longest that was finished. Preparing does
  /// not count: it may take any time.
  wire::Heartbeat heartbeat() const;

 private:
  using Clock = std::chrono::steady_clock;
  /// Work that takes longer is given to the other thread.
  static constexpr std::chrono::microseconds inline_max{400};

  void finish(Duration& typical);

  bool alone_;
  asio::thread_pool pool_{1};
  // Of recent work, decaying; long at first.
  Duration typical_handle_ = std::chrono::milliseconds{10};
  Duration typical_produce_ = std::chrono::milliseconds{10};
  Duration longest_{};
  std::optional<Clock::time_point> began_;  // the present work
};

}  // namespace lateral
