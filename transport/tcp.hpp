// TCP options, and what TCP knows of a connection.
#pragma once

#include <chrono>
#include <optional>

namespace lateral {

/// Small messages leave at once, and a dead connection is noticed also by a side that only listens.
void set_tcp_options(int socket);

/// How it stands with what was sent last.
struct TcpState {
  bool tries_again = false;                    ///< it was sent again, and waits for an answer
  std::chrono::milliseconds unanswered_for{};  ///< nothing has been acknowledged
  std::chrono::microseconds round_trip{};      ///< of late
};
/// Nothing where `socket`, a descriptor, is not TCP.
std::optional<TcpState> tcp_state(int socket);

/// Whether it waits longer than it should where the network works. TCP itself tries again ever more
/// seldom, also when the network is there again; a new connection is up at once. The limit doubles
/// with `unproductive_reconnects`, new connections in a row that brought nothing over.
bool has_stalled(const TcpState& state, int unproductive_reconnects);

}  // namespace lateral
