// Linux's TCP_INFO.
#include "transport/tcp.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdint>

namespace lateral {
namespace {

/// More than the longest time (40 ms) for which Linux keeps an acknowledgement back.
constexpr std::chrono::milliseconds stall_min{100};

void set(int socket, int level, int option, int value) {
  // Where it cannot be set the socket is gone, and whoever reads next is told.
  ::setsockopt(socket, level, option, &value, sizeof value);
}

}  // namespace

bool is_tcp(int socket) {
  int protocol = 0;
  socklen_t length = sizeof protocol;
  return ::getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 &&
         protocol == IPPROTO_TCP;
}

void set_tcp_options(int socket) {
  set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  // After about 20 s.
  set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(socket, IPPROTO_TCP, TCP_KEEPIDLE, 10);
  set(socket, IPPROTO_TCP, TCP_KEEPINTVL, 3);
  set(socket, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

bool has_stalled(int socket) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return false;
  const auto round_trips = std::chrono::microseconds{std::uint64_t{4} * info.tcpi_rtt};
  // It may have brought over the first of what was lost, and wait with the rest.
  const bool tries_again = info.tcpi_retransmits > 0 || info.tcpi_ca_state == TCP_CA_Loss;
  return info.tcpi_unacked > 0 && tries_again &&
         std::chrono::milliseconds{info.tcpi_last_ack_recv} >= stall_min + round_trips;
}

}  // namespace lateral
