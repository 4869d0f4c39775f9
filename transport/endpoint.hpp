// Addresses ("unix:PATH", "tcp:HOST:PORT"), dialling them and listening on them.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <string>
#include <variant>

#include "transport/socket_link.hpp"

namespace lateral {

/// Connects. Throws system_error.
awaitable<Socket> dial(std::string address);

/// A listening socket. A Unix socket's file is removed with it, or earlier by forget_path().
class Listener {
 public:
  /// `address` as above; tcp port 0 takes a free one.
  Listener(const asio::any_io_executor& executor, const std::string& address);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  /// Where others can dial, with the port that was taken.
  const std::string& address() const { return address_; }
  awaitable<Socket> accept();
  /// Removes the file of a Unix socket: nobody new can dial it.
  void forget_path();

 private:
  std::variant<asio::local::stream_protocol::acceptor, asio::ip::tcp::acceptor> acceptor_;
  std::string address_;
  bool path_forgotten_ = false;
};

}  // namespace lateral
