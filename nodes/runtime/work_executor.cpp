// The choice between two threads, and the times behind it.
#include "nodes/runtime/work_executor.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

namespace lateral {
namespace {

/// Returns when everything that is ready on this thread has run.
awaitable<void> let_others_run() {
  auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, use_awaitable);
}

}  // namespace

awaitable<void> WorkExecutor::run(NodeSession::Task task) {
  if (task.kind == NodeSession::Task::Kind::prepare)
    co_return co_await compute_on(pool_, std::move(task.run));
  const bool produces = task.kind == NodeSession::Task::Kind::produce;
  if (produces) co_await let_others_run();  // other nodes wait for what was sent before
  Duration& typical = produces ? typical_produce_ : typical_handle_;
  began_ = Clock::now();
  if (alone_ && typical < inline_max) {
    task.run();
    finish(typical);
    co_await let_others_run();  // what it has sent is queued behind us
  } else {
    co_await compute_on(pool_, std::move(task.run));
    finish(typical);
  }
}

void WorkExecutor::stop() {
  pool_.stop();
  pool_.join();
}

void WorkExecutor::finish(Duration& typical) {
  const Duration time = Clock::now() - *began_;
  typical = std::max<Duration>(time, typical * 9 / 10);
  longest_ = std::max(longest_, time);
  began_.reset();
}

wire::Heartbeat WorkExecutor::heartbeat() const {
  const auto in_ms = [](Duration time) {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
  };
  wire::Heartbeat heartbeat;
  if (began_) heartbeat.set_busy_ms(in_ms(Clock::now() - *began_));
  heartbeat.set_longest_ms(in_ms(longest_));
  return heartbeat;
}

}  // namespace lateral
