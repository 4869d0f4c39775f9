// Parsing of addresses and the two kinds of stream sockets behind them.
#include "transport/endpoint.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/network_v6.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "transport/tcp.hpp"

namespace lateral {
namespace {

using Unix = asio::local::stream_protocol;
using Tcp = asio::ip::tcp;

constexpr std::string_view unix_prefix = "unix:";
constexpr std::string_view tcp_prefix = "tcp:";

std::optional<std::string> unix_path(const std::string& address) {
  if (!address.starts_with(unix_prefix)) return std::nullopt;
  return address.substr(unix_prefix.size());
}

Tcp::endpoint tcp_endpoint(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  std::uint16_t port = 0;
  if (address.starts_with(tcp_prefix) && colon > tcp_prefix.size()) {
    const char* end = address.data() + address.size();
    const auto [stop, failure] = std::from_chars(address.data() + colon + 1, end, port);
    error_code bad_host;
    const auto host = asio::ip::make_address(
        address.substr(tcp_prefix.size(), colon - tcp_prefix.size()), bad_host);
    if (failure == std::errc{} && stop == end && !bad_host) return {host, port};
  }
  throw_transport(TransportError::bad_address,
                  fmt::format("'{}', expected unix:PATH or tcp:NUMERIC_HOST:PORT", address));
}

// Processes that are started later must not inherit sockets: they would keep connections open.
template <class AnySocket>
AnySocket not_inherited(AnySocket socket) {
  ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
  return socket;
}

std::variant<Unix::acceptor, Tcp::acceptor> open_acceptor(const asio::any_io_executor& executor,
                                                          const std::string& address) {
  if (const auto path = unix_path(address))
    return not_inherited(Unix::acceptor{executor, Unix::endpoint{*path}});
  const Tcp::endpoint endpoint = tcp_endpoint(address);
  if (endpoint.address().is_unspecified() || endpoint.address().is_multicast())
    throw_transport(
        TransportError::bad_address,
        fmt::format("'{}' is no address that peers can dial, expected one of this machine's own",
                    address));
  try {
    return not_inherited(Tcp::acceptor{executor, endpoint});
  } catch (const system_error& failure) {
    if (failure.code() != boost::system::errc::address_not_available) throw;
    throw_transport(
        TransportError::bad_address,
        fmt::format("'{}' is not an address of this machine, expected one of its addresses",
                    address));
  }
}

/// The address of one end of a TCP connection; an IPv4-mapped IPv6 address is returned as IPv4.
asio::ip::address host_at(const Socket::endpoint_type& end) {
  Tcp::endpoint endpoint;
  std::memcpy(endpoint.data(), end.data(), std::min(end.size(), endpoint.capacity()));
  const asio::ip::address host = endpoint.address();
  if (host.is_v6() && host.to_v6().is_v4_mapped())
    return asio::ip::make_address_v4(asio::ip::v4_mapped, host.to_v6());
  return host;
}

bool is_tcp(const Socket& socket) {
  const int family = socket.local_endpoint().data()->sa_family;
  return family == AF_INET || family == AF_INET6;
}

Socket prepared(Tcp::socket socket) {
  set_tcp_options(socket.native_handle());
  return Socket{not_inherited(std::move(socket))};
}

}  // namespace

awaitable<Socket> dial(std::string address) {
  auto executor = co_await asio::this_coro::executor;
  if (const auto path = unix_path(address)) {
    Unix::socket socket{executor};
    const Unix::endpoint endpoint{*path};
    co_await socket.async_connect(endpoint, use_awaitable);
    co_return Socket{not_inherited(std::move(socket))};
  }
  Tcp::socket socket{executor};
  const Tcp::endpoint endpoint = tcp_endpoint(address);
  co_await socket.async_connect(endpoint, use_awaitable);
  co_return prepared(std::move(socket));
}

bool leaves_machine(const Socket& socket) {
  return is_tcp(socket) && !(host_at(socket.local_endpoint()).is_loopback() &&
                             host_at(socket.remote_endpoint()).is_loopback());
}

void check_user(const Socket& socket, const std::string& peer) {
  if (is_tcp(socket)) return;
  ucred user{};
  socklen_t length = sizeof user;
  const int descriptor = const_cast<Socket&>(socket).native_handle();
  if (::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &user, &length) != 0)
    throw system_error(error_code(errno, boost::system::system_category()), peer);
  if (user.uid != ::geteuid())
    throw_transport(TransportError::wrong_user,
                    fmt::format("{}: uid {}, expected {}", peer, user.uid, ::geteuid()));
}

std::string host_of(const Socket& socket) {
  if (!is_tcp(socket)) return "this machine";
  const asio::ip::address host = host_at(socket.remote_endpoint());
  if (host.is_v4()) return host.to_string();
  constexpr unsigned short network_bits = 64;
  return asio::ip::make_network_v6(host.to_v6(), network_bits).canonical().to_string();
}

Listener::Listener(const asio::any_io_executor& executor, const std::string& address)
    : acceptor_{open_acceptor(executor, address)}, address_{address} {
  if (const auto* tcp = std::get_if<Tcp::acceptor>(&acceptor_)) {
    const Tcp::endpoint local = tcp->local_endpoint();
    address_ = fmt::format("{}{}:{}", tcp_prefix, local.address().to_string(), local.port());
  }
}

Listener::~Listener() {
  if (const auto path = unix_path(address_)) ::unlink(path->c_str());
}

awaitable<Socket> Listener::accept() {
  if (auto* local = std::get_if<Unix::acceptor>(&acceptor_)) {
    Unix::socket socket = co_await local->async_accept(use_awaitable);
    co_return Socket{not_inherited(std::move(socket))};
  }
  Tcp::socket socket = co_await std::get<Tcp::acceptor>(acceptor_).async_accept(use_awaitable);
  co_return prepared(std::move(socket));
}

}  // namespace lateral
