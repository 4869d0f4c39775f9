// `lateral node`: connects to the coordinator and runs a session over sockets.
#include "nodes/runtime/node_program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <optional>

#include "nodes/base/digest.hpp"
#include "nodes/process/process.hpp"
#include "nodes/runtime/neighbours.hpp"
#include "nodes/runtime/node.hpp"

namespace lateral {
namespace {

/// `size` bytes from hexadecimal digits.  Throws UserError naming `what`.
std::string parse_hex(const std::string& hex, std::size_t size, const std::string& what) {
  const std::optional<std::string> bytes = from_hex(hex);
  if (!bytes || bytes->size() != size)
    throw UserError(fmt::format("{}: expected {} hexadecimal digits", what, 2 * size));
  return *bytes;
}

Secret read_secret(const std::string& path) {
  std::ifstream file{path};
  std::string hex;
  file >> hex;
  const std::string bytes = parse_hex(hex, secret_bytes, "--secret " + path);
  Secret secret;
  std::copy(bytes.begin(), bytes.end(), secret.begin());
  return secret;
}

awaitable<void> link_to_coordinator(Ports& control, std::string address, Credentials credentials,
                                    Identity self, DialTimeout& timeout) {
  const Identity coordinator{coordinator_name, 0};
  std::unique_ptr<Link> link = co_await dial_peer(address, credentials, self, coordinator, timeout);
  link->set_limits({header_bytes_max, control_body_bytes_max});
  control.attach(std::move(link));
}

/// Throws the reason if the coordinator refuses this node.
awaitable<void> link_to_coordinator_first(Ports& control, std::string address,
                                          Credentials credentials, Identity self,
                                          DialTimeout& timeout) {
  for (int attempts = 1;; ++attempts) {
    try {
      co_await link_to_coordinator(control, address, credentials, self, timeout);
      co_return;
    } catch (const system_error& error) {
      if (!was_interrupted(error.code()) || attempts >= first_attempts_max) throw;
    }
    co_await sleep_for(redial_interval);
  }
}

/// Never ends by itself.
awaitable<void> keep_linked_to_coordinator(Ports& control, std::string address,
                                           Credentials credentials, Identity self,
                                           DialTimeout& timeout) {
  for (;;) {
    co_await sleep_for(redial_interval);
    if (!control.needs_link(coordinator_name)) continue;
    try {
      co_await link_to_coordinator(control, address, credentials, self, timeout);
    } catch (const system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      if (is_permanent_failure(error.code(), control.linked(coordinator_name)))
        control.close(coordinator_name, describe(error));
    }
  }
}

awaitable<void> run_node_program(const NodeCall& call, Credentials credentials, ExitCode& code) {
  auto executor = co_await asio::this_coro::executor;
  const Log log = Log::to_standard_error();
  const Identity self{call.name, call.generation};
  Neighbours neighbours{executor, credentials, self, log};
  Reception reception{
      executor,
      call.listen,
      credentials,
      self,
      [&log](const std::string& refusal) { log.warning(refusal); },
      [&](const Identity&, std::unique_ptr<Link> link) { neighbours.add_link(std::move(link)); }};
  Ports control{executor, {.relinks = true, .acknowledges = true}};
  control.add(coordinator_name, Stream(true));
  DialTimeout timeout;
  co_await link_to_coordinator_first(control, call.coordinator, credentials, self, timeout);
  NodeSetting setting;
  setting.name = call.name;
  setting.digest = credentials.configuration_digest;
  setting.listening_address = reception.address();
  setting.log = log;
  setting.set_network = [&](Ports* network, const FrameLimits& limits) {
    neighbours.set_network(network, limits);
  };
  setting.set_peer = [&](const wire::Peer& peer) { neighbours.set_peer(peer, reception); };
  setting.dial_peers = [&] { neighbours.dial(); };
  std::vector<awaitable<void>> tasks;
  tasks.push_back(reception.run());
  tasks.push_back(neighbours.run());
  tasks.push_back(
      keep_linked_to_coordinator(control, call.coordinator, credentials, self, timeout));
  tasks.push_back([](Ports& ports, NodeSetting s, ExitCode& c) -> awaitable<void> {
    c = co_await run_node_session(ports, std::move(s));
  }(control, std::move(setting), code));
  co_await run_until_first_ends(std::move(tasks));
}

}  // namespace

ExitCode run_node(const NodeCall& call) {
  ExitCode code = ExitCode::internal_error;
  constexpr std::size_t digest_bytes = 32;
  const Credentials credentials{read_secret(call.secret_file),
                                parse_hex(call.digest_hex, digest_bytes, "--digest"),
                                call.plain_tcp};
  if (call.plain_tcp) std::cerr << "lateral: " << plain_tcp_warning << std::endl;
  asio::io_context io{1};
  std::exception_ptr failure;
  asio::co_spawn(io, run_node_program(call, credentials, code),
                 [&](const std::exception_ptr& thrown) {
                   failure = thrown;
                   io.stop();
                 });
  io.run();
  if (failure) std::rethrow_exception(failure);
  return code;
}

}  // namespace lateral
