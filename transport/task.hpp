// Waiting for several things at once: a deadline, the first of many, a change of state.
#pragma once

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <utility>
#include <vector>

#include "transport/asio.hpp"

namespace lateral {

/// The result of `operation`, or asio::error::timed_out; the one that ends later is cancelled and
/// waited for. (The `||` of awaitable_operators waits for the first success, and so for the
/// deadline when the operation fails.)
template <class T>
awaitable<T> with_deadline(Duration timeout, awaitable<T> operation) {
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer{executor, timeout};
  auto group = asio::experimental::make_parallel_group(
      asio::co_spawn(executor, std::move(operation), asio::deferred),
      timer.async_wait(asio::deferred));
  if constexpr (std::is_void_v<T>) {
    auto [order, failure, timer_error] =
        co_await group.async_wait(asio::experimental::wait_for_one(), use_awaitable);
    if (order[0] == 1) throw system_error(asio::error::timed_out);
    if (failure) std::rethrow_exception(failure);
  } else {
    auto [order, failure, value, timer_error] =
        co_await group.async_wait(asio::experimental::wait_for_one(), use_awaitable);
    if (order[0] == 1) throw system_error(asio::error::timed_out);
    if (failure) std::rethrow_exception(failure);
    co_return std::move(value);
  }
}

/// Runs all tasks until one ends; cancels the others, waits for them, and rethrows the failure of
/// the one that ended first, if it failed.  REQUIRES: at least one task
inline awaitable<void> run_until_first_ends(std::vector<awaitable<void>> tasks) {
  auto executor = co_await asio::this_coro::executor;
  using Operation =
      decltype(asio::co_spawn(executor, std::declval<awaitable<void>>(), asio::deferred));
  std::vector<Operation> operations;
  operations.reserve(tasks.size());
  for (awaitable<void>& task : tasks)
    operations.push_back(asio::co_spawn(executor, std::move(task), asio::deferred));
  auto group = asio::experimental::make_parallel_group(std::move(operations));
  auto [order, failures] =
      co_await group.async_wait(asio::experimental::wait_for_one(), use_awaitable);
  if (failures[order[0]]) std::rethrow_exception(failures[order[0]]);
}

/// Condition variable for coroutines of one io_context thread: wait() returns after the next
/// notify(). Wait in a loop over the condition.
class Changed {
 public:
  explicit Changed(const asio::any_io_executor& executor)
      : timer_{executor, asio::steady_timer::time_point::max()} {}
  void notify() { timer_.cancel(); }
  awaitable<void> wait() {
    error_code cancelled_by_notify;
    co_await timer_.async_wait(asio::redirect_error(use_awaitable, cancelled_by_notify));
  }

 private:
  asio::steady_timer timer_;
};

/// Runs `work` on a thread of `pool`, while this thread serves other coroutines. It is not
/// interrupted: a cancellation takes effect once the work is done. (Nor may it reach the co_spawn:
/// in Asio 1.26 that would post a pointer to the waiting coroutine's slot to the pool.)
inline awaitable<void> compute_on(asio::thread_pool& pool, std::function<void()> work) {
  const auto call = [](std::function<void()> f) -> awaitable<void> {
    f();
    co_return;
  };
  awaitable<void> task = call(std::move(work));
  auto token = asio::bind_cancellation_slot(asio::cancellation_slot{}, use_awaitable);
  co_await asio::co_spawn(pool, std::move(task), token);
}

inline awaitable<void> sleep_for(Duration duration) {
  asio::steady_timer timer{co_await asio::this_coro::executor, duration};
  co_await timer.async_wait(use_awaitable);
}

}  // namespace lateral
