// Parsing of addresses and the two kinds of stream sockets behind them.
#include "transport/endpoint.hpp"

#include <unistd.h>

#include <charconv>
#include <optional>
#include <string_view>

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
                  "'" + address + "', expected unix:PATH or tcp:NUMERIC_HOST:PORT");
}

std::variant<Unix::acceptor, Tcp::acceptor> open_acceptor(const asio::any_io_executor& executor,
                                                          const std::string& address) {
  if (const auto path = unix_path(address)) return Unix::acceptor{executor, Unix::endpoint{*path}};
  return Tcp::acceptor{executor, tcp_endpoint(address)};
}

// Small messages must not wait for more to come.
Socket without_delay(Tcp::socket socket) {
  socket.set_option(Tcp::no_delay{true});
  return Socket{std::move(socket)};
}

}  // namespace

awaitable<Socket> dial(std::string address) {
  auto executor = co_await asio::this_coro::executor;
  if (const auto path = unix_path(address)) {
    Unix::socket socket{executor};
    const Unix::endpoint endpoint{*path};
    co_await socket.async_connect(endpoint, use_awaitable);
    co_return Socket{std::move(socket)};
  }
  Tcp::socket socket{executor};
  const Tcp::endpoint endpoint = tcp_endpoint(address);
  co_await socket.async_connect(endpoint, use_awaitable);
  co_return without_delay(std::move(socket));
}

Listener::Listener(const asio::any_io_executor& executor, const std::string& address)
    : acceptor_{open_acceptor(executor, address)}, address_{address} {
  if (const auto* tcp = std::get_if<Tcp::acceptor>(&acceptor_)) {
    const Tcp::endpoint local = tcp->local_endpoint();
    address_ =
        std::string(tcp_prefix) + local.address().to_string() + ":" + std::to_string(local.port());
  }
}

Listener::~Listener() { forget_path(); }

awaitable<Socket> Listener::accept() {
  if (auto* local = std::get_if<Unix::acceptor>(&acceptor_)) {
    Unix::socket socket = co_await local->async_accept(use_awaitable);
    co_return Socket{std::move(socket)};
  }
  Tcp::socket socket = co_await std::get<Tcp::acceptor>(acceptor_).async_accept(use_awaitable);
  co_return without_delay(std::move(socket));
}

void Listener::forget_path() {
  const auto path = unix_path(address_);
  if (path && !path_forgotten_) ::unlink(path->c_str());
  path_forgotten_ = true;
}

}  // namespace lateral
