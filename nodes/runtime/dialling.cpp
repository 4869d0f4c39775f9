// One attempt to connect to a peer, and the meaning of its result.
#include "nodes/runtime/dialling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "transport/task.hpp"

namespace lateral {
namespace {

awaitable<Socket> connect_socket(std::string address, std::string peer) {
  try {
    Socket socket = co_await dial(address);
    co_return socket;
  } catch (const system_error& error) {
    if (error.code() == TransportError::bad_address) throw;  // names the address already
    throw system_error(error.code(), fmt::format("cannot reach {} at {}", peer, address));
  }
}

awaitable<std::unique_ptr<Link>> connect_and_authenticate(std::string address,
                                                          Credentials credentials, Identity self,
                                                          Identity peer) {
  Socket socket = co_await connect_socket(address, peer.name);
  std::unique_ptr<Link> link =
      co_await authenticate_as_dialler(std::move(socket), credentials, self, peer);
  co_return link;
}

}  // namespace

void DialTimeout::answered(const std::optional<TcpState>& state) {
  time_ = dial_time_min;
  if (state) time_ = std::min<Duration>(dial_time_min + 8 * state->round_trip, dial_time_max);
}

void DialTimeout::timed_out() { time_ = std::min<Duration>(time_ * 5 / 4, dial_time_max); }

bool was_interrupted(const error_code& code) {
  return code == asio::error::eof || code == asio::error::connection_reset ||
         code == asio::error::broken_pipe || code == TransportError::wrong_tls;
}

bool is_permanent_failure(const error_code& code, bool linked) {
  const bool no_listener = code == asio::error::connection_refused ||
                           code == boost::system::errc::no_such_file_or_directory;
  return code == TransportError::refused || (no_listener && !linked);
}

awaitable<std::unique_ptr<Link>> dial_peer(std::string address, Credentials credentials,
                                           Identity self, Identity peer, DialTimeout& timeout) {
  try {
    std::unique_ptr<Link> link = co_await with_deadline(
        timeout.time(), connect_and_authenticate(address, credentials, self, peer));
    timeout.answered(link->tcp_state());
    co_return link;
  } catch (const system_error& error) {
    if (error.code() == asio::error::timed_out) timeout.timed_out();
    throw;
  }
}

}  // namespace lateral
