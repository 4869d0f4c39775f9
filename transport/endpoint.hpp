// Addresses ("unix:PATH", "tcp:HOST:PORT"): dialling them and listening on them.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <string>
#include <variant>

#include "transport/socket_link.hpp"

namespace lateral {

/// Connects. Throws system_error.
awaitable<Socket> dial(std::string address);

/// Whether this is TCP and not from loopback address to loopback address; both ends agree on that.
/// Throws system_error if the socket is not connected any more.
bool leaves_machine(const Socket& socket);
/// Throws TransportError::wrong_user if the other end of a Unix socket does not belong to a process
/// of our own (effective) user; root is no exception. Does nothing for TCP, which has no users.
void check_user(const Socket& socket, const std::string& peer);
/// The host at the other end, of IPv6 the network of 64 bits, of which one host may use all
/// addresses; "this machine" over a Unix socket.  Throws as leaves_machine().
std::string host_of(const Socket& socket);

/// A listening socket. A Unix socket's file is removed with it.
class Listener {
 public:
  /// `address` as above; TCP port 0 takes a free one. The host must be one that others can dial,
  /// not the unspecified address (0.0.0.0, ::): TransportError::bad_address.
  Listener(const asio::any_io_executor& executor, const std::string& address);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  /// What others can dial, with the port that was taken.
  const std::string& address() const { return address_; }
  awaitable<Socket> accept();

 private:
  std::variant<asio::local::stream_protocol::acceptor, asio::ip::tcp::acceptor> acceptor_;
  std::string address_;
};

}  // namespace lateral
