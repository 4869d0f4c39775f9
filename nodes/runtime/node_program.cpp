// `lateral node`: connects to the coordinator and runs a session over sockets.
#include "nodes/runtime/node_program.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <string_view>

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

/// The first word of a file. /dev/fd/N is read as descriptor N, also on systems without /proc, to
/// which /dev/fd leads.
std::string first_word(const std::string& path) {
  constexpr std::string_view descriptors = "/dev/fd/";
  std::string word;
  if (!path.starts_with(descriptors)) {
    std::ifstream{path} >> word;
    return word;
  }
  int descriptor = -1;
  const char* const end = path.data() + path.size();
  const auto [stop, failure] = std::from_chars(path.data() + descriptors.size(), end, descriptor);
  if (failure != std::errc{} || stop != end) return "";
  constexpr std::size_t bytes_max = 256;
  char bytes[bytes_max];
  std::size_t filled = 0;
  for (ssize_t n = 1; n > 0 && filled < bytes_max;) {
    n = ::read(descriptor, bytes + filled, bytes_max - filled);
    if (n > 0) filled += static_cast<std::size_t>(n);
  }
  std::istringstream{std::string(bytes, filled)} >> word;
  return word;
}

Secret read_secret(const std::string& path) {
  const std::string hex = first_word(path);
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

/// Throws the reason if the coordinator refuses this node, or does not answer for first_link_max:
/// on a busy machine, with hundreds of nodes to start, an answer can take many seconds.
awaitable<void> link_to_coordinator_first(Ports& control, std::string address,
                                          Credentials credentials, Identity self,
                                          DialTimeout& timeout) {
  const auto end = std::chrono::steady_clock::now() + first_link_max;
  for (;;) {
    try {
      co_await link_to_coordinator(control, address, credentials, self, timeout);
      co_return;
    } catch (const system_error& error) {
      const bool is_slow = error.code() == asio::error::timed_out || was_interrupted(error.code());
      if (!is_slow || std::chrono::steady_clock::now() >= end) throw;
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
  setting.generation = call.generation;
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
