// Linux's TCP_INFO.
#include "transport/tcp.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

namespace lateral {
namespace {

/// Linux first retransmits after a round trip and 200 ms.
constexpr std::chrono::milliseconds stall_min{250};
constexpr int doublings_max = 6;

void set(int socket, int level, int option, int value) {
  // If it cannot be set, the socket is closed already, and the next read fails.
  ::setsockopt(socket, level, option, &value, sizeof value);
}

}  // namespace

void set_tcp_options(int socket) {
  set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set(socket, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1);  // for links that are not replaced
  // Closes a dead connection after about 20 s.
  set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(socket, IPPROTO_TCP, TCP_KEEPIDLE, 10);
  set(socket, IPPROTO_TCP, TCP_KEEPINTVL, 3);
  set(socket, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

std::optional<TcpState> tcp_state(int socket) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return std::nullopt;
  // After the first lost segment has arrived, the next one waits for another timeout. A receiver
  // whose window is full is probed repeatedly, and answers each time.
  const bool lost = info.tcpi_retransmits > 0 || info.tcpi_ca_state == TCP_CA_Loss;
  TcpState state;
  state.retransmits = (info.tcpi_unacked > 0 && lost) || info.tcpi_probes > 1;
  state.unanswered_for = std::chrono::milliseconds{info.tcpi_last_ack_recv};
  state.round_trip = std::chrono::microseconds{info.tcpi_rtt};
  return state;
}

bool has_stalled(const TcpState& state, int unproductive_reconnects) {
  const auto limit =
      (stall_min + 4 * state.round_trip) * (1 << std::min(unproductive_reconnects, doublings_max));
  return state.retransmits && state.unanswered_for >= limit;
}

}  // namespace lateral
