// Deadlines and groups of coroutines.
#include "transport/task.hpp"

#include <doctest/doctest.h>

#include "tests/support/run.hpp"

namespace lateral {
namespace {

using std::chrono::milliseconds;

awaitable<int> answer_after(milliseconds delay) {
  co_await sleep_for(delay);
  co_return 42;
}
awaitable<void> fail_after(milliseconds delay) {
  co_await sleep_for(delay);
  throw system_error(asio::error::eof);
}
awaitable<void> set_when_cancelled(bool& cancelled) {
  try {
    co_await sleep_for(std::chrono::hours{1});
  } catch (const system_error&) {
    cancelled = true;
    throw;
  }
}
awaitable<void> ask(milliseconds deadline, milliseconds delay, int& answer) {
  answer = co_await with_deadline(deadline, answer_after(delay));
}
awaitable<void> first_of(bool& cancelled) {
  std::vector<awaitable<void>> tasks;
  tasks.push_back(set_when_cancelled(cancelled));
  tasks.push_back(fail_after(milliseconds{5}));
  co_await run_until_first_ends(std::move(tasks));
}
awaitable<void> deadline_on_failure() {
  co_await with_deadline(std::chrono::hours{1}, fail_after(milliseconds{5}));
}

TEST_CASE(
    "an operation that ends before the deadline returns its result, a later one throws timed_out") {
  asio::io_context io{1};
  int answer = 0;
  run(io, ask(milliseconds{2000}, milliseconds{1}, answer));
  CHECK(answer == 42);
  answer = 0;
  CHECK_THROWS_AS(run(io, ask(milliseconds{20}, milliseconds{5000}, answer)), system_error);
  CHECK(answer == 0);
}

TEST_CASE("an operation that fails does not wait for its deadline") {
  asio::io_context io{1};
  CHECK_THROWS_AS(run(io, deadline_on_failure()), system_error);
}

TEST_CASE("the first failure of a group ends the others and is what the group throws") {
  asio::io_context io{1};
  bool cancelled = false;
  CHECK_THROWS_AS(run(io, first_of(cancelled)), system_error);
  CHECK(cancelled);
}

}  // namespace
}  // namespace lateral
