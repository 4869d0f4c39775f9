// Dialling: the timeout of an attempt, and when it is repeated.
#include "nodes/runtime/dialling.hpp"

#include <doctest/doctest.h>

namespace lateral {
namespace {

using std::chrono::milliseconds;

TEST_CASE("the dial timeout follows the round trips, and grows after a timeout") {
  DialTimeout timeout;
  CHECK(timeout.time() == dial_time_max);  // nothing is known yet
  TcpState state;
  state.round_trip = milliseconds{50};
  timeout.answered(state);
  CHECK(timeout.time() == dial_time_min + milliseconds{400});
  timeout.timed_out();
  CHECK(timeout.time() == milliseconds{625});
  for (int i = 0; i < 20; ++i) timeout.timed_out();
  CHECK(timeout.time() == dial_time_max);
  timeout.answered(std::nullopt);
  CHECK(timeout.time() == dial_time_min);
}

TEST_CASE("a first attempt is repeated only if it was interrupted") {
  for (const error_code code :
       {make_error_code(asio::error::eof), make_error_code(asio::error::connection_reset),
        make_error_code(asio::error::broken_pipe), make_error_code(TransportError::wrong_tls)})
    CHECK(was_interrupted(code));
  for (const error_code code :
       {make_error_code(asio::error::connection_refused), make_error_code(asio::error::timed_out),
        make_error_code(TransportError::wrong_secret), make_error_code(TransportError::refused)})
    CHECK_FALSE(was_interrupted(code));
}

TEST_CASE("the coordinator is not dialled again once it refuses, or no longer listens") {
  CHECK(is_permanent_failure(make_error_code(TransportError::refused), true));
  CHECK(is_permanent_failure(make_error_code(asio::error::connection_refused), false));
  CHECK_FALSE(is_permanent_failure(make_error_code(asio::error::connection_refused), true));
  CHECK_FALSE(is_permanent_failure(make_error_code(asio::error::timed_out), false));
}

}  // namespace
}  // namespace lateral
