// TCP options, and the state of a TCP connection.
#pragma once

#include <chrono>
#include <optional>

namespace lateral {

/// Small messages leave at once, and a side that only reads notices a dead connection as well.
void set_tcp_options(int socket);

/// The state of the data that was sent last.
struct TcpState {
  bool retransmits = false;                    ///< it was sent again, and is not acknowledged yet
  std::chrono::milliseconds unanswered_for{};  ///< time since the last acknowledgement
  std::chrono::microseconds round_trip{};      ///< recent
};
/// Nothing where `socket`, a descriptor, is not TCP.
std::optional<TcpState> tcp_state(int socket);

/// Whether an acknowledgement takes longer than it should where the network works. TCP doubles the
/// time between retransmissions, and so uses a network that works again only after some time; a new
/// connection uses it at once. The limit doubles with each of `unproductive_reconnects`, new
/// connections in a row that carried no message.
bool has_stalled(const TcpState& state, int unproductive_reconnects);

}  // namespace lateral
