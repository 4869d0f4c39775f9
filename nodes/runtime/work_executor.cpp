// The choice between two threads, by measured times.
#include "nodes/runtime/work_executor.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

namespace lateral {
namespace {

/// Returns when all coroutines that were ready on this thread have run.
awaitable<void> run_ready_coroutines() {
  auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, use_awaitable);
}

}  // namespace

awaitable<void> WorkExecutor::run(NodeSession::Task task) {
  if (task.kind == NodeSession::Task::Kind::prepare) {
    co_await compute_on(pool_, std::move(task.run));
    ++finished_;
    co_return;
  }
  const bool produces = task.kind == NodeSession::Task::Kind::produce;
  if (produces) co_await run_ready_coroutines();  // other nodes wait for what was sent before
  Duration& typical = produces ? typical_produce_ : typical_handle_;
  began_ = Clock::now();
  if (has_own_process_ && typical < inline_max) {
    task.run();
    finish(typical);
    co_await run_ready_coroutines();  // the messages that it sent were posted to this thread
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
  ++finished_;
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
  heartbeat.set_tasks(finished_);
  return heartbeat;
}

}  // namespace lateral
