// `lateral node`: a node process calls its coordinator and lives as it is told.
#include "nodes/runtime/node_program.hpp"

#include <algorithm>
#include <fstream>
#include <iostream>

#include "nodes/base/log.hpp"
#include "nodes/runtime/node.hpp"
#include "nodes/process/process.hpp"
#include "transport/reception.hpp"
#include "transport/task.hpp"

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

awaitable<std::unique_ptr<Link>> dial_and_greet(std::string address, Credentials credentials,
                                                Identity self, Identity peer) {
  Socket socket = co_await dial_named(address, peer.name);
  std::unique_ptr<Link> link = co_await introduce(std::move(socket), credentials, self, peer);
  co_return link;
}

/// Between one attempt to reach a peer and the next.
constexpr std::chrono::milliseconds redial_interval{50};

/// Time to reach a peer and to be let in.
constexpr std::chrono::milliseconds call_min{100}, call_max{3000};

/// How long to wait for an answer to a call. Once there has been one, only as long as the round
/// trips of a call take, since it takes TCP a second to see that a network has lost it; longer each
/// time that this was not enough.
class Patience {
 public:
  Duration time() const { return time_; }
  void answered_by(const Link& link) {
    const std::optional<TcpState> state = link.tcp_state();
    time_ = call_min;
    if (state) time_ = std::min<Duration>(call_min + 8 * state->round_trip, call_max);
  }
  void not_answered() { time_ = std::min<Duration>(time_ * 5 / 4, call_max); }

 private:
  Duration time_ = call_max;
};

awaitable<std::unique_ptr<Link>> call_peer(std::string address, Credentials credentials,
                                           Identity self, Identity peer, Patience& patience) {
  try {
    std::unique_ptr<Link> link =
        co_await with_deadline(patience.time(), dial_and_greet(address, credentials, self, peer));
    patience.answered_by(*link);
    co_return link;
  } catch (const system_error& error) {
    if (error.code() == asio::error::timed_out) patience.not_answered();
    throw;
  }
}

/// First calls that may be cut off, by somebody who floods the coordinator with calls, before the
/// node gives up.
constexpr int first_calls_max = 20;

/// The first call of the coordinator says best what is wrong, if something is.
awaitable<std::unique_ptr<Link>> call_first(std::string address, Credentials credentials,
                                            Identity self, Identity coordinator,
                                            Patience& patience) {
  for (int calls = 1;; ++calls) {
    try {
      std::unique_ptr<Link> link =
          co_await call_peer(address, credentials, self, coordinator, patience);
      co_return link;
    } catch (const system_error& error) {
      const bool cut_off =
          error.code() == asio::error::eof || error.code() == asio::error::connection_reset ||
          error.code() == asio::error::broken_pipe || error.code() == TransportError::wrong_tls;
      if (!cut_off || calls >= first_calls_max) throw;
    }
    co_await sleep_for(redial_interval);
  }
}

/// The node's links to its peers: made here, carried by a network that comes and goes.
class Neighbours {
 public:
  Neighbours(const asio::any_io_executor& executor, const Credentials& credentials,
             const Identity& self, std::function<void(const std::string&)> log)
      : credentials_{credentials}, self_{self}, log_{std::move(log)}, changed_{executor} {}

  void join(Ports* network, const FrameLimits& limits) {
    network_ = network;
    limits_ = limits;
    changed_.notify();
  }
  void meet(const wire::Peer& peer, Reception& reception) {
    if (peer.dial())
      dialled_[peer.name()].peer = peer;
    else
      reception.expect({peer.name(), peer.generation()});
    changed_.notify();
  }
  void dial() {
    dials_ = true;
    changed_.notify();
  }
  void arrived(std::unique_ptr<Link> link) {
    if (network_ == nullptr) return;
    link->set_limits(limits_);
    network_->attach(std::move(link));
  }
  /// Dials whoever is to be dialled. Never ends by itself.
  awaitable<void> run() {
    for (;;) {
      while (network_ == nullptr || !dials_) co_await changed_.wait();
      std::vector<awaitable<void>> tasks;  // all are known by now; who replaces one has its name
      for (const auto& [name, dialled] : dialled_) tasks.push_back(keep_linked(name));
      if (!tasks.empty()) co_await run_until_first_ends(std::move(tasks));
      while (network_ != nullptr) co_await changed_.wait();
    }
  }

 private:
  struct Dialled {
    wire::Peer peer;
    Patience patience;
    std::string last_failure;
  };

  /// Dials the peer when it has no link, or none that works, as long as there is a network.
  awaitable<void> keep_linked(std::string name) {
    for (; network_ != nullptr; co_await sleep_for(redial_interval)) {
      if (network_->wants_link(name))
        co_await call(name);
      else
        network_->nudge(name);
    }
  }

  awaitable<void> call(std::string name) {
    Dialled& dialled = dialled_.at(name);
    const std::string address = dialled.peer.address();
    const Identity called{name, dialled.peer.generation()};
    std::string failure;
    try {
      std::unique_ptr<Link> link =
          co_await call_peer(address, credentials_, self_, called, dialled.patience);
      if (dialled.peer.generation() != called.generation) co_return;  // replaced meanwhile
      arrived(std::move(link));
      log_("linked to " + name);
    } catch (const system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      failure = describe(error);
    }
    if (!failure.empty() && failure != dialled.last_failure) log_(failure);
    dialled.last_failure = failure;
  }

  Credentials credentials_;
  Identity self_;
  std::function<void(const std::string&)> log_;
  Changed changed_;
  Ports* network_ = nullptr;
  FrameLimits limits_{};
  bool dials_ = false;
  std::map<std::string, Dialled> dialled_;
};

/// Dials the coordinator whenever there is no link to it, or none that works. Where another has our
/// place, or nobody listens any more, there is no point in trying again.
awaitable<void> keep_reporting(Ports& control, std::string address, Credentials credentials,
                               Identity self, Patience patience) {
  const Identity coordinator{coordinator_name, 0};
  for (;;) {
    co_await sleep_for(redial_interval);
    if (!control.wants_link(coordinator_name)) continue;
    try {
      std::unique_ptr<Link> link =
          co_await call_peer(address, credentials, self, coordinator, patience);
      link->set_limits({header_bytes_max, control_body_bytes_max});
      control.attach(std::move(link));
    } catch (const system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      const bool nobody_listens = error.code() == asio::error::connection_refused ||
                                  error.code() == boost::system::errc::no_such_file_or_directory;
      if (error.code() == TransportError::refused ||
          (nobody_listens && !control.linked(coordinator_name)))
        control.close(coordinator_name, describe(error));
    }
  }
}

awaitable<void> live(const NodeCall& call, Credentials credentials, ExitCode& code) {
  auto executor = co_await asio::this_coro::executor;
  const std::function<void(const std::string&)> log =
      [to = Log::to_standard_error()](const std::string& line) { to.info(line); };
  const Identity self{call.name, call.generation};
  Neighbours neighbours{executor, credentials, self, log};
  Reception reception{executor,
                      call.listen,
                      credentials,
                      self,
                      log,
                      [&](const Identity& peer, std::unique_ptr<Link> link) {
                        log("linked to " + peer.name);
                        neighbours.arrived(std::move(link));
                      }};
  Ports control{executor, {.relinks = true, .acknowledges = true}};
  control.add(coordinator_name, Stream(true));
  Patience patience;
  {
    const Identity coordinator{coordinator_name, 0};
    std::unique_ptr<Link> link =
        co_await call_first(call.coordinator, credentials, self, coordinator, patience);
    link->set_limits({header_bytes_max, control_body_bytes_max});
    control.attach(std::move(link));
  }
  NodeSetting setting;
  setting.name = call.name;
  setting.digest = credentials.configuration_digest;
  setting.listening_address = reception.address();
  setting.log = log;
  setting.join = [&](Ports* network, const FrameLimits& limits) {
    neighbours.join(network, limits);
  };
  setting.meet = [&](const wire::Peer& peer) { neighbours.meet(peer, reception); };
  setting.dial = [&] { neighbours.dial(); };
  std::vector<awaitable<void>> tasks;
  tasks.push_back(reception.run());
  tasks.push_back(neighbours.run());
  tasks.push_back(keep_reporting(control, call.coordinator, credentials, self, patience));
  tasks.push_back([](Ports& ports, NodeSetting s, ExitCode& c) -> awaitable<void> {
    c = co_await node_life(ports, std::move(s));
  }(control, std::move(setting), code));
  co_await run_until_first_ends(std::move(tasks));
}

}  // namespace

ExitCode run_node(const NodeCall& call) {
  ExitCode code = ExitCode::our_bug;
  constexpr std::size_t digest_bytes = 32;
  const Credentials credentials{read_secret(call.secret_file),
                                from_hex(call.digest_hex, digest_bytes, "--digest"),
                                call.plain_tcp};
  if (call.plain_tcp) std::cerr << "lateral: " << plain_tcp_warning << std::endl;
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
