// Runs coroutines to their end inside a test.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>

#include "transport/asio.hpp"

namespace lateral {

/// Runs `task` and rethrows its exception. Throws if it takes longer than `limit`, so that a test
/// that hangs fails.
inline void run(asio::io_context& io, awaitable<void> task,
                std::chrono::seconds limit = std::chrono::seconds{10}) {
  std::optional<std::exception_ptr> ended;
  asio::co_spawn(io, std::move(task), [&](const std::exception_ptr& failure) {
    ended = failure;
    io.stop();
  });
  io.restart();
  io.run_for(limit);
  if (!ended) throw std::runtime_error("the coroutine did not end in time");
  if (*ended) std::rethrow_exception(*ended);
}

/// The code of the system_error that `f` throws, or none.
template <class F>
error_code code_of(F&& f) {
  try {
    f();
  } catch (const system_error& error) {
    return error.code();
  }
  return {};
}

}  // namespace lateral
