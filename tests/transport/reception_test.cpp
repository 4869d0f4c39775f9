// Unauthenticated callers of a listening node are refused, and have no other effect.
#include "transport/reception.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <ifaddrs.h>
#include <malloc.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/write.hpp>
#include <cmath>
#include <deque>
#include <filesystem>
#include <random>

#include "nodes/base/digest.hpp"
#include "tests/support/run.hpp"

namespace lateral {
namespace {

const Credentials good{Secret{1, 2, 3}, sha256("experiment")};
const Identity hidden1{"hidden1", 2}, source{"source", 0};

/// An address of this machine that is not loopback; empty if it has none.
std::string outside_host() {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return "";
  std::string found;
  for (const ifaddrs* at = all; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET ||
        (at->ifa_flags & IFF_LOOPBACK) != 0 || (at->ifa_flags & IFF_UP) == 0)
      continue;
    char text[INET_ADDRSTRLEN];
    const auto* address = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
    found = ::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
  }
  ::freeifaddrs(all);
  return found;
}

/// The addresses at which this machine can listen; the tests below are run for each.
std::vector<std::string> addresses() {
  std::vector<std::string> found{"unix:/tmp/lateral-reception-test-" + std::to_string(getpid()),
                                 "tcp:127.0.0.1:0"};
  if (const std::string host = outside_host(); !host.empty())
    found.push_back("tcp:" + host + ":0");
  else
    MESSAGE("SKIPPED over TLS: this machine has no address but loopback");
  return found;
}

/// The node `source`, which expects hidden1 of generation 2.
struct Node {
  explicit Node(const std::string& address, const Credentials& credentials = good)
      : reception{io.get_executor(),
                  address,
                  credentials,
                  source,
                  [this](const std::string& line) { log.push_back(line); },
                  [this](const Identity&, std::unique_ptr<Link> link) {
                    arrived.push_back(std::move(link));
                  }} {
    reception.expect(hidden1);
  }
  /// Runs `visit` against it.
  void against(awaitable<void> visit) {
    std::vector<awaitable<void>> tasks;
    tasks.push_back(reception.run());
    tasks.push_back(std::move(visit));
    lateral::run(io, run_until_first_ends(std::move(tasks)));
  }
  bool logged(const std::string& what) const {
    return std::any_of(log.begin(), log.end(), [&](const std::string& line) {
      return line.find(what) != std::string::npos;
    });
  }

  asio::io_context io{1};
  std::vector<std::string> log;
  std::vector<std::unique_ptr<Link>> arrived;
  Reception reception;
};

awaitable<void> call(std::string address, Credentials credentials, Identity self,
                     std::unique_ptr<Link>& link, error_code& failure) {
  failure = {};
  try {
    Socket socket = co_await dial(address);
    link = co_await authenticate_as_dialler(std::move(socket), credentials, self, source);
  } catch (const system_error& error) {
    failure = error.code();
  }
}
/// Sends bytes and reads until the other side closes the connection.
awaitable<void> send_bytes(std::string address, std::string bytes) {
  Socket socket = co_await dial(address);
  error_code ended;
  co_await asio::async_write(socket, asio::buffer(bytes),
                             asio::redirect_error(use_awaitable, ended));
  std::array<char, 4096> answer;
  const asio::mutable_buffer into = asio::buffer(answer);
  while (!ended) co_await socket.async_read_some(into, asio::redirect_error(use_awaitable, ended));
}
awaitable<void> pause(Duration duration) { co_await sleep_for(duration); }

std::string frame(const std::string& header, std::uint64_t body_bytes = 0) {
  std::string bytes{"LAT1"};
  for (std::size_t i = 0; i < 4; ++i) bytes += static_cast<char>(header.size() >> 8 * i);
  for (std::size_t i = 0; i < 8; ++i) bytes += static_cast<char>(body_bytes >> 8 * i);
  return bytes + header;
}

awaitable<void> call_all(Node& node, error_code& unauthenticated, error_code& older,
                         error_code& expected, error_code& again) {
  const std::string address = node.reception.address();
  co_await send_bytes(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  std::unique_ptr<Link> link;
  Credentials wrong = good;
  wrong.secret[0] ^= 1;
  co_await call(address, wrong, hidden1, link, unauthenticated);
  link.reset();
  const Identity predecessor{hidden1.name, 1};
  co_await call(address, good, predecessor, link, older);
  link.reset();
  co_await call(address, good, hidden1, link, expected);
  std::unique_ptr<Link> second;
  co_await call(address, good, hidden1, second, again);
}

TEST_CASE("strangers are refused and logged; the expected peer comes in, also a second time") {
  for (const std::string& address : addresses()) {
    CAPTURE(address);
    Node node{address};
    error_code unauthenticated, older, expected, again;
    node.against(call_all(node, unauthenticated, older, expected, again));
    const bool tls = node.reception.address().find("tcp:") == 0 && address != "tcp:127.0.0.1:0";
    CHECK(unauthenticated == (tls ? TransportError::wrong_tls : TransportError::wrong_secret));
    CHECK(older == TransportError::refused);
    CHECK_FALSE(expected);
    CHECK_FALSE(again);
    REQUIRE(node.arrived.size() == 2);
    CHECK(node.arrived[0]->peer() == "hidden1");
    CHECK(node.arrived[0]->channel_binding().size() == (tls ? 32 : 0));
    CHECK((node.arrived[0]->channel_binding() != node.arrived[1]->channel_binding()) == tls);
    REQUIRE(node.log.size() == 3);
    CHECK(node.log[0].find(tls ? "no ClientHello" : "not a frame of this protocol") !=
          std::string::npos);
    CHECK(node.log[2].find("'hidden1' of generation 1: not a node that is expected here") !=
          std::string::npos);
  }
}

TEST_CASE("each kind of malformed input has an error of its own, and none is accepted") {
  wire::Header hello;
  hello.mutable_hello()->set_protocol_version(protocol_version);
  hello.mutable_hello()->set_configuration_digest(good.configuration_digest);
  hello.mutable_hello()->set_from(hidden1.name);
  hello.mutable_hello()->set_generation(hidden1.generation);
  hello.mutable_hello()->set_to(source.name);
  hello.mutable_hello()->set_nonce(std::string(32, 'n'));
  wire::Header assignment, proof;
  assignment.mutable_assignment();
  proof.mutable_proof()->set_proof("x");
  const struct {
    const char* what;
    std::string bytes, line;
  } cases[] = {
      {"another protocol", "GET / HTTP/1.1\r\n\r\n", "not a frame of this protocol"},
      {"a header that is too long", frame(std::string(257, 'x')), "header of 257 bytes"},
      {"a body", frame("\x12", 4), "body of 4 bytes"},
      {"a body of 2^64 - 1 bytes", frame("", ~std::uint64_t{0}), "at most 0 expected"},
      {"an invalid header", frame("\x12\x02\x08"), "unexpected message"},
      {"an invalid hello", frame("\x12\x02\xff\xff"), "malformed header"},
      {"a message of the run", frame(assignment.SerializeAsString()), "unexpected message"},
      {"no hello first", frame(proof.SerializeAsString()), "unexpected message"},
      {"a wrong proof", frame(hello.SerializeAsString()) + frame(proof.SerializeAsString()),
       "does not know the secret"},
      {"not a proof", frame(hello.SerializeAsString()) + frame(hello.SerializeAsString()),
       "does not know the secret"},
  };
  Node node{"tcp:127.0.0.1:0"};
  for (const auto& [what, bytes, line] : cases) {
    CAPTURE(what);
    node.log.clear();
    node.against(send_bytes(node.reception.address(), bytes));
    REQUIRE(node.log.size() == 1);
    CAPTURE(node.log[0]);
    CHECK(node.logged(line));
    CHECK(node.logged("refused caller"));
  }
  CHECK(node.arrived.empty());
}

// ---- Another user

TEST_CASE("over a Unix socket a process of another user is refused, whichever side it is on") {
  if (::geteuid() != 0) {
    MESSAGE("SKIPPED: needs root to change the user");
    return;
  }
  constexpr uid_t other_user = 65534;
  char folder[] = "/tmp/lateral-user-test-XXXXXX";
  REQUIRE(::mkdtemp(folder) != nullptr);
  REQUIRE(::chmod(folder, 0777) == 0);  // unlike the folder of a run, which only its user can enter
  const std::string path = std::string(folder) + "/socket";
  SUBCASE("it dials, and knows the secret") {
    Node node{"unix:" + path};
    REQUIRE(::chmod(path.c_str(), 0777) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setuid(other_user) != 0) ::_exit(2);
      asio::io_context io{1};
      std::unique_ptr<Link> link;
      error_code failure;
      // Without the check of the user, which would refuse the node.
      const auto visit = [&]() -> awaitable<void> {
        try {
          Socket socket = co_await dial("unix:" + path);
          link = make_socket_link(std::move(socket), "source");
          co_await handshake_as_dialler(*link, good, hidden1, source);
        } catch (const system_error& error) {
          failure = error.code();
        }
      };
      lateral::run(io, visit());
      ::_exit(failure ? 0 : 1);
    }
    node.against(pause(std::chrono::milliseconds{500}));
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(node.arrived.empty());
    CHECK(node.logged("uid 65534, expected 0: a process of another user"));
  }
  SUBCASE("it listens instead of a node") {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setuid(other_user) != 0) ::_exit(2);
      Node node{"unix:" + path};
      if (::write(ready[1], "x", 1) != 1) ::_exit(3);
      node.against(pause(std::chrono::seconds{1}));
      ::_exit(0);
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    asio::io_context io{1};
    std::unique_ptr<Link> link;
    error_code failure;
    run(io, call("unix:" + path, good, hidden1, link, failure));
    CHECK(failure == TransportError::wrong_user);
    ::waitpid(child, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
  }
  std::filesystem::remove_all(folder);
}

// ---- TLS

TEST_CASE("beyond loopback a peer with plain TCP is refused, and so is a listener with plain TCP") {
  const std::string host = outside_host();
  if (host.empty()) {
    MESSAGE("SKIPPED: this machine has no address but loopback");
    return;
  }
  Credentials plain = good;
  plain.plain_tcp = true;
  error_code failure;
  {
    Node node{"tcp:" + host + ":0"};
    std::unique_ptr<Link> link;
    node.against(call(node.reception.address(), plain, hidden1, link, failure));
    CHECK(failure);
    CHECK(node.arrived.empty());
    CHECK(node.logged("no TLS 1.3 under the secret of this run"));
  }
  {
    Node node{"tcp:" + host + ":0", plain};
    std::unique_ptr<Link> link;
    node.against(call(node.reception.address(), good, hidden1, link, failure));
    CHECK(failure == TransportError::wrong_tls);
    CHECK(node.arrived.empty());
    node.against(call(node.reception.address(), plain, hidden1, link, failure));
    CHECK_FALSE(failure);
    CHECK(node.arrived.size() == 1);
  }
}

/// Forwards the bytes between two sockets, and records those of the first.
awaitable<void> forward(Socket& from, Socket& to, std::string* recorded) {
  std::array<char, 4096> bytes;
  for (;;) {
    const asio::mutable_buffer into = asio::buffer(bytes);
    error_code ended;
    const std::size_t n =
        co_await from.async_read_some(into, asio::redirect_error(use_awaitable, ended));
    if (ended) co_return;
    if (recorded != nullptr) recorded->append(bytes.data(), n);
    const asio::const_buffer piece = asio::buffer(bytes.data(), n);
    co_await asio::async_write(to, piece, asio::redirect_error(use_awaitable, ended));
  }
}
awaitable<void> relay(Listener& listener, std::string address, std::string& recorded) {
  Socket first = co_await listener.accept();
  Socket second = co_await dial(address);
  std::vector<awaitable<void>> both;
  both.push_back(forward(first, second, &recorded));
  both.push_back(forward(second, first, nullptr));
  co_await run_until_first_ends(std::move(both));
}
awaitable<void> call_through(std::string host, std::string address, std::string& recorded,
                             error_code& failure) {
  Listener listener{co_await asio::this_coro::executor, host};
  std::unique_ptr<Link> link;
  std::vector<awaitable<void>> both;
  both.push_back(relay(listener, address, recorded));
  both.push_back(call(listener.address(), good, hidden1, link, failure));
  co_await run_until_first_ends(std::move(both));
}

TEST_CASE("a recorded successful handshake is refused when it is replayed") {
  for (const std::string& address : addresses()) {
    if (address.starts_with("unix:")) continue;
    CAPTURE(address);
    Node node{address};
    std::string recorded;
    error_code failure;
    node.against(call_through(address, node.reception.address(), recorded, failure));
    CHECK_FALSE(failure);
    REQUIRE(node.arrived.size() == 1);
    REQUIRE(recorded.size() > 100);
    const bool tls = address != "tcp:127.0.0.1:0";
    CHECK(recorded.starts_with(tls ? "\x16\x03" : "LAT1"));
    CHECK((recorded.find("hidden1") == std::string::npos) == tls);  // nothing readable passes
    node.log.clear();
    node.against(send_bytes(node.reception.address(), recorded));
    CHECK(node.arrived.size() == 1);
    CHECK(node.logged(tls ? "no TLS 1.3 under the secret" : "does not know the secret"));
  }
}

/// As many callers as there are slots send these bytes and wait; `used` is the memory in use then.
awaitable<void> occupy_slots(std::string address, std::string bytes, std::size_t& used) {
  std::deque<Socket> sockets;
  for (std::size_t i = 0; i < handshakes_max; ++i) {
    Socket socket = co_await dial(address);
    const asio::const_buffer recorded = asio::buffer(bytes);
    co_await asio::async_write(socket, recorded, use_awaitable);
    sockets.push_back(std::move(socket));
  }
  co_await sleep_for(std::chrono::milliseconds{300});
  used = ::mallinfo2().uordblks;
}

TEST_CASE(
    "a ClientHello is read completely and with a size limit, before anything is allocated for "
    "TLS") {
  const std::string host = outside_host();
  if (host.empty()) {
    MESSAGE("SKIPPED: this machine has no address but loopback");
    return;
  }
  using namespace std::string_literals;
  Node node{"tcp:" + host + ":0"};
  std::string recorded;
  error_code failure;
  node.against(call_through("tcp:" + host + ":0", node.reception.address(), recorded, failure));
  REQUIRE_FALSE(failure);
  const std::size_t hello_bytes =
      5 + (static_cast<std::size_t>(static_cast<unsigned char>(recorded[3])) << 8 |
           static_cast<unsigned char>(recorded[4]));
  const std::string hello = recorded.substr(0, hello_bytes);
  CHECK(hello.size() < 300);
  std::string other_share = hello;  // an X25519 share with the identifier of another group
  const std::size_t share = other_share.find("\x00\x33\x00\x26\x00\x24\x00\x1d"s);
  REQUIRE(share != std::string::npos);
  other_share[share + 7] = '\x17';
  const std::vector<std::pair<std::string, std::string>> cases{
      {"\x16\x03\x01\xff\xff\x01\x00\xff\xfb"s, "no ClientHello"},  // too long
      {"\x16\x03\x01\x00\x04\x01\x00\x01\x00"s, "no ClientHello"},  // in pieces
      {"\x16\x03\x01\x00\x24\x02\x00\x00\x20"s, "no ClientHello"},  // a ServerHello
      {"\x16\x03\x01\x00\x24\x01\x00\x00\x20"s + std::string(32, 'x'), "no TLS 1.3"},
      {other_share, "no TLS 1.3"},  // would cause a request for another ClientHello
      {hello.substr(0, hello.size() - 1) + static_cast<char>(hello.back() ^ 1), "no TLS 1.3"},
  };
  for (const auto& [bytes, line] : cases) {
    CAPTURE(to_hex(bytes));
    node.log.clear();
    node.against(send_bytes(node.reception.address(), bytes));
    CHECK(node.logged(line));
  }
  CHECK(node.arrived.size() == 1);
  // A valid ClientHello, replayed in all slots: the memory of TLS until the callers are
  // disconnected.
  const std::size_t before = ::mallinfo2().uordblks;
  std::size_t after = 0;
  node.against(occupy_slots(node.reception.address(), hello, after));
  const std::size_t each = (after - before) / handshakes_max;
  MESSAGE("a caller with a genuine ClientHello takes " << each << " bytes");
  CHECK(each <= 128 * 1024);
}

// ---- Slots

/// Descriptors that this process holds.
std::size_t descriptors() {
  const std::filesystem::directory_iterator all{"/proc/self/fd"};
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST_CASE(
    "a peer that sends nothing, or an incomplete handshake, is disconnected after handshake_max") {
  for (const std::string& address : addresses()) {
    CAPTURE(address);
    for (const std::string bytes : {"", "LAT1", "\x16\x03\x01"}) {
      Node node{address};
      const auto before = std::chrono::steady_clock::now();
      node.against(send_bytes(node.reception.address(), bytes));
      const auto waited = std::chrono::steady_clock::now() - before;
      CHECK(waited >= handshake_max);
      CHECK(waited < handshake_max + std::chrono::seconds{2});
      CHECK(node.logged("timed out"));
    }
  }
}

/// Connects repeatedly without sending anything, and keeps up to held_max connections open.
struct Flood {
  std::deque<Socket> sockets;
  std::size_t made = 0, most_descriptors = 0;
};
awaitable<void> flood(Flood& flood, std::string address, std::size_t count, Duration pause) {
  constexpr std::size_t held_max = 200;
  for (std::size_t i = 0; i < count; ++i, ++flood.made) {
    Socket socket = co_await dial(address);
    flood.sockets.push_back(std::move(socket));
    if (flood.sockets.size() > held_max) flood.sockets.pop_front();
    flood.most_descriptors = std::max(flood.most_descriptors, descriptors() - flood.sockets.size());
    if (pause > Duration{0}) co_await sleep_for(pause);
  }
  for (;;) co_await sleep_for(std::chrono::seconds{1});
}
awaitable<void> call_until_accepted(std::string address, int& calls) {
  std::unique_ptr<Link> link;
  error_code failure = asio::error::try_again;
  co_await sleep_for(std::chrono::milliseconds{100});
  for (; failure; ++calls) {
    link.reset();
    co_await call(address, good, hidden1, link, failure);
    if (failure) co_await sleep_for(std::chrono::milliseconds{20});
  }
}
awaitable<void> call_in_flood(Node& node, Flood& callers, std::size_t count, Duration pause,
                              int& calls) {
  const std::string address = node.reception.address();
  std::vector<awaitable<void>> both;
  both.push_back(flood(callers, address, count, pause));
  both.push_back(call_until_accepted(address, calls));
  co_await run_until_first_ends(std::move(both));
}

/// Whether a handshake that takes `calls` calls of others survives, with all others from these
/// hosts in turn, none of which ever completes.
bool survives(std::size_t hosts, std::size_t calls, bool same_host, bool is_plausible,
              std::minstd_rand& lot) {
  std::size_t next = lot() % hosts;
  const auto stranger = [&] { return Candidate{std::to_string(next++ % hosts), false}; };
  std::vector<Candidate> candidates{{same_host ? "0" : "honest", is_plausible}};
  while (candidates.size() < handshakes_max) candidates.push_back(stranger());
  std::size_t honest = 0;
  for (std::size_t call = 0; call < calls; ++call) {
    const std::size_t aborted = handshake_to_abort(candidates, lot);
    if (aborted == honest) return false;
    candidates[aborted] = stranger();
  }
  return true;
}

TEST_CASE("a handshake survives strangers with at least the stated probability") {
  std::minstd_rand lot{1};
  constexpr int trials = 400;
  for (const std::size_t hosts : {1, 8, 16, 64, 1000})
    for (const double rate : {20.0, 200.0, 2000.0})
      for (const double seconds : {0.02, 0.2, 1.0}) {
        const auto calls = static_cast<std::size_t>(std::lround(rate * seconds));
        const double stated = std::pow(1 - 1.0 / handshakes_max, static_cast<double>(calls));
        CAPTURE(hosts);
        CAPTURE(calls);
        for (const bool same_host : {false, true}) {
          if (same_host && hosts > 1) continue;  // nothing is promised then
          int survived = 0;
          for (int i = 0; i < trials; ++i)
            survived += survives(hosts, calls, same_host, false, lot) ? 1 : 0;
          const double share = static_cast<double>(survived) / trials;
          // Four standard deviations of the estimate.
          CHECK(share >= stated - 4 * std::sqrt(stated * (1 - stated) / trials) - 1e-9);
          if (!same_host && hosts + 1 < handshakes_max) CHECK(survived == trials);
          if (!same_host && hosts == 1000)  // nor much more: then the formula would be wrong
            CHECK(share <= stated + 4 * std::sqrt(stated * (1 - stated) / trials) + 1e-2);
        }
        CHECK(survives(hosts, calls, false, true, lot));
      }
}

TEST_CASE("hosts with equally many handshakes are chosen by lot, whatever their names") {
  std::minstd_rand lot{2};
  std::vector<int> aborted(handshakes_max);
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < handshakes_max; ++i) candidates.push_back({std::to_string(i), false});
  constexpr int calls = 64000;
  for (int i = 0; i < calls; ++i) ++aborted[handshake_to_abort(candidates, lot)];
  const int mean = calls / static_cast<int>(handshakes_max);
  for (const int n : aborted) CHECK(std::abs(n - mean) < 6 * std::lround(std::sqrt(mean)));
}

TEST_CASE(
    "unauthenticated callers that occupy every slot, or dial without a pause, do not block the "
    "peer") {
  for (const std::string& address : addresses()) {
    for (const auto pause : {std::chrono::microseconds{0}, std::chrono::microseconds{500}}) {
      CAPTURE(address);
      CAPTURE(pause.count());
      Node node{address};
      const std::size_t before = descriptors();
      Flood callers;
      int calls = 0;
      const auto began = std::chrono::steady_clock::now();
      node.against(call_in_flood(node, callers, 1000000, pause, calls));
      CHECK(node.arrived.size() == 1);
      CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds{5});
      MESSAGE(address << ": accepted at call " << calls << " among " << callers.made << " callers");
      CHECK(callers.made > handshakes_max);
      // The slots, the caller that waits for a slot, the two ends of the peer, and its dialling
      // socket.
      CHECK(callers.most_descriptors <= before + handshakes_max + 6);
      CHECK(node.log.size() <= 6 * (refusals_logged_max + 1));
      CHECK(node.logged("aborted in favour of another caller"));
    }
  }
}

}  // namespace
}  // namespace lateral
