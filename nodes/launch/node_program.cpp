// `lateral node`: a node process calls its coordinator and lives as it is told.
#include "nodes/launch/node_program.hpp"

#include <fstream>
#include <iostream>

#include "nodes/node.hpp"
#include "nodes/process.hpp"
#include "transport/reception.hpp"

namespace lateral {
namespace {

/// `size` bytes from hexadecimal digits.  Throws UserError naming `what`.
std::string from_hex(const std::string& hex, std::size_t size, const std::string& what) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    unsigned value = 0;
    for (const char digit : {hex[i], hex[i + 1]}) {
      const std::size_t at = std::string_view("0123456789abcdef").find(digit);
      if (at == std::string_view::npos) value = 1 << 16;
      value = 16 * value + static_cast<unsigned>(at);
    }
    if (value > 255) break;
    bytes += static_cast<char>(value);
  }
  if (bytes.size() != size || hex.size() != 2 * size)
    throw UserError(what + ": expected " + std::to_string(2 * size) + " hexadecimal digits");
  return bytes;
}

Secret read_secret(const std::string& path) {
  std::ifstream file{path};
  std::string hex;
  file >> hex;
  const std::string bytes = from_hex(hex, secret_bytes, "--secret " + path);
  Secret secret;
  std::copy(bytes.begin(), bytes.end(), secret.begin());
  return secret;
}

awaitable<Socket> dial_named(std::string address, std::string peer) {
  try {
    Socket socket = co_await dial(address);
    co_return socket;
  } catch (const system_error& error) {
    if (error.code() == TransportError::bad_address) throw;  // says all there is to say
    throw system_error(error.code(), "cannot reach " + peer + " at " + address);
  }
}

awaitable<std::unique_ptr<Link>> call_peer(std::string address, Credentials credentials,
                                           std::string self, std::string peer) {
  Socket socket = co_await dial_named(address, peer);
  std::unique_ptr<Link> link = make_socket_link(std::move(socket), peer);
  co_await handshake_as_dialler(*link, credentials, self, peer);
  co_return link;
}

awaitable<std::vector<std::unique_ptr<Link>>> connect_peers(const wire::Assignment& assignment,
                                                            Reception& reception,
                                                            Credentials credentials,
                                                            std::string self) {
  std::vector<std::unique_ptr<Link>> links;
  for (const wire::Peer& peer : assignment.peers()) {
    std::unique_ptr<Link> link;
    if (peer.dial())
      link = co_await call_peer(peer.address(), credentials, self, peer.name());
    else
      link = co_await reception.wait_for(peer.name());
    links.push_back(std::move(link));
  }
  reception.forget_path();  // over a Unix socket nobody else can call from now on
  co_return links;
}

awaitable<void> live(const NodeCall& call, Credentials credentials, ExitCode& code) {
  auto executor = co_await asio::this_coro::executor;
  const auto log = [](const std::string& line) { std::cerr << one_line(line) << std::endl; };
  Reception reception{executor, call.listen, credentials, call.name, log};
  std::unique_ptr<Link> control =
      co_await call_peer(call.coordinator, credentials, call.name, coordinator_name);
  NodeSetting setting;
  setting.name = call.name;
  setting.digest = credentials.configuration_digest;
  setting.listening_address = reception.address();
  setting.log = log;
  setting.expect = [&reception](const wire::Assignment& assignment) {
    for (const wire::Peer& peer : assignment.peers())
      if (!peer.dial()) reception.expect(peer.name());
  };
  setting.connect = [&reception, credentials,
                     self = call.name](const wire::Assignment& assignment) {
    return connect_peers(assignment, reception, credentials, self);
  };
  std::vector<awaitable<void>> tasks;
  tasks.push_back(reception.run());
  tasks.push_back([](std::unique_ptr<Link> link, NodeSetting s, ExitCode& c) -> awaitable<void> {
    c = co_await node_life(std::move(link), std::move(s));
  }(std::move(control), std::move(setting), code));
  co_await run_until_first_ends(std::move(tasks));
}

}  // namespace

ExitCode run_node(const NodeCall& call) {
  ExitCode code = ExitCode::our_bug;
  constexpr std::size_t digest_bytes = 32;
  const Credentials credentials{read_secret(call.secret_file),
                                from_hex(call.digest_hex, digest_bytes, "--digest")};
  asio::io_context io{1};
  std::exception_ptr failure;
  asio::co_spawn(io, live(call, credentials, code), [&](const std::exception_ptr& thrown) {
    failure = thrown;
    io.stop();
  });
  io.run();
  if (failure) std::rethrow_exception(failure);
  return code;
}

}  // namespace lateral
