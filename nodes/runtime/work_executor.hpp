// WorkExecutor: runs the tasks of a node, and measures their times.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <optional>

#include "nodes/runtime/node_session.hpp"
#include "transport/task.hpp"

namespace lateral {

/// Runs the tasks of a session on a thread of its own, so that messages and heartbeats are sent at
/// the same time; or, if tasks of this kind take less time than a change of threads, on the
/// event-loop thread.
class WorkExecutor {
 public:
  /// `has_own_process`: no other node uses the event-loop thread.
  explicit WorkExecutor(bool has_own_process) : has_own_process_{has_own_process} {}

  awaitable<void> run(NodeSession::Task task);
  /// Waits for a task that is still running, and runs no other.
  void stop();
  /// The time of the present task so far, the longest time of a finished one, and how many have
  /// finished. The time of preparation is not measured: it may take long.
  wire::Heartbeat heartbeat() const;

 private:
  using Clock = std::chrono::steady_clock;
  /// Longer tasks run on the other thread.
  static constexpr std::chrono::microseconds inline_max{400};

  void finish(Duration& typical);

  bool has_own_process_;
  asio::thread_pool pool_{1};
  // Decaying maximum of recent times; the initial value selects the other thread.
  Duration typical_handle_ = std::chrono::milliseconds{10};
  Duration typical_produce_ = std::chrono::milliseconds{10};
  Duration longest_{};
  std::uint64_t finished_ = 0;              // tasks, preparation among them
  std::optional<Clock::time_point> began_;  // the present task
};

}  // namespace lateral
