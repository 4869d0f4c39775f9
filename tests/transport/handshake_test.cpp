// Only a peer that knows the secret, runs the same experiment and is expected comes in.
#include "transport/handshake.hpp"

#include <doctest/doctest.h>

#include "tests/support/run.hpp"
#include "transport/memory_link.hpp"
#include "transport/reception.hpp"
#include "transport/task.hpp"

namespace lateral {
namespace {

const Credentials good{Secret{1, 2, 3}, sha256("experiment")};

struct Ends {
  error_code dialler, dialled;
  std::string name;
};

awaitable<void> dial_side(Link& link, Credentials credentials, std::string to, Ends& ends) {
  try {
    co_await handshake_as_dialler(link, credentials, "hidden1", to);
  } catch (const system_error& error) {
    ends.dialler = error.code();
    link.close();
  }
}
awaitable<void> dialled_side(Link& link, Ends& ends) {
  const auto expects = [](const std::string& name) { return name == "hidden1"; };
  try {
    ends.name = co_await handshake_as_dialled(link, good, "source", expects);
  } catch (const system_error& error) {
    ends.dialled = error.code();
    link.close();
  }
}
awaitable<void> meet(Link& a, Link& b, Credentials credentials, std::string to, Ends& ends) {
  auto executor = co_await asio::this_coro::executor;
  auto group = asio::experimental::make_parallel_group(
      asio::co_spawn(executor, dial_side(a, credentials, to, ends), asio::deferred),
      asio::co_spawn(executor, dialled_side(b, ends), asio::deferred));
  co_await group.async_wait(asio::experimental::wait_for_all(), use_awaitable);
}

Ends meet_with(const Credentials& credentials, const std::string& to = "source") {
  asio::io_context io{1};
  auto [a, b] = make_memory_links(io.get_executor(), "hidden1", "source");
  Ends ends;
  run(io, meet(*a, *b, credentials, to, ends));
  return ends;
}

TEST_CASE("two nodes of the same run let each other in") {
  const Ends ends = meet_with(good);
  CHECK_FALSE(ends.dialler);
  CHECK_FALSE(ends.dialled);
  CHECK(ends.name == "hidden1");
}

TEST_CASE("a peer with another secret is refused, and does not learn whether we know ours") {
  Credentials other = good;
  other.secret[31] ^= 1;
  const Ends ends = meet_with(other);
  CHECK(ends.dialler == TransportError::wrong_secret);  // it finds that we cannot prove its secret
  CHECK(ends.dialled);
  CHECK(ends.name.empty());
}

TEST_CASE("a peer with another experiment is refused and told so") {
  Credentials other = good;
  other.configuration_digest = sha256("another experiment");
  const Ends ends = meet_with(other);
  CHECK(ends.dialler == TransportError::refused);
  CHECK(ends.dialled == TransportError::wrong_configuration);
}

TEST_CASE("a peer that means somebody else is refused") {
  CHECK(meet_with(good, "readout").dialled == TransportError::wrong_peer);
}

// Dials by hand: plays `first`, then answers the challenge with `answer`.
awaitable<void> forge(Link& link, Message first,
                      std::function<Message(const wire::Challenge&)> answer) {
  co_await link.send(std::move(first));
  Message challenge = co_await link.receive();
  if (!challenge.header.has_challenge()) co_return;
  Message last = answer(challenge.header.challenge());
  co_await link.send(std::move(last));
  co_await link.receive();
}
awaitable<void> forge_against(Link& a, Link& b, Message first,
                              std::function<Message(const wire::Challenge&)> answer, Ends& ends) {
  auto executor = co_await asio::this_coro::executor;
  auto group = asio::experimental::make_parallel_group(
      asio::co_spawn(executor, forge(a, std::move(first), std::move(answer)), asio::deferred),
      asio::co_spawn(executor, dialled_side(b, ends), asio::deferred));
  co_await group.async_wait(asio::experimental::wait_for_all(), use_awaitable);
}

Message hello(std::uint32_t version = protocol_version, const std::string& from = "hidden1") {
  Message message;
  wire::Hello& fields = *message.header.mutable_hello();
  fields.set_protocol_version(version);
  fields.set_configuration_digest(good.configuration_digest);
  fields.set_from(from);
  fields.set_to("source");
  fields.set_nonce(std::string(32, 'n'));
  return message;
}
Message proof_message(const std::string& proof) {
  Message message;
  message.header.mutable_proof()->set_proof(proof);
  return message;
}

error_code forged(Message first, std::function<Message(const wire::Challenge&)> answer) {
  asio::io_context io{1};
  auto [a, b] = make_memory_links(io.get_executor(), "hidden1", "source");
  Ends ends;
  run(io, forge_against(*a, *b, std::move(first), std::move(answer), ends));
  CHECK(ends.name.empty());
  return ends.dialled;
}

TEST_CASE(
    "another version, an unexpected name, a first message that is no hello, a short nonce: each is "
    "refused") {
  const auto never = [](const wire::Challenge&) { return proof_message(""); };
  CHECK(forged(hello(protocol_version + 1), never) == TransportError::wrong_version);
  CHECK(forged(hello(protocol_version, "hidden9"), never) == TransportError::wrong_peer);
  CHECK(forged(proof_message("x"), never) == TransportError::unexpected_message);
  Message short_nonce = hello();
  short_nonce.header.mutable_hello()->set_nonce("n");
  CHECK(forged(std::move(short_nonce), never) == TransportError::malformed_header);
}

TEST_CASE("a proof that is empty, random, or our own sent back to us is refused") {
  CHECK(forged(hello(), [](const wire::Challenge&) { return proof_message(""); }) ==
        TransportError::wrong_secret);
  CHECK(forged(hello(), [](const wire::Challenge&) {
          return proof_message(std::string(32, 'x'));
        }) == TransportError::wrong_secret);
  CHECK(forged(hello(), [](const wire::Challenge& c) { return proof_message(c.proof()); }) ==
        TransportError::wrong_secret);
}

TEST_CASE("a recorded handshake cannot be replayed: each challenge is new") {
  std::vector<std::string> nonces;
  for (int i = 0; i < 3; ++i)
    forged(hello(), [&](const wire::Challenge& c) {
      nonces.push_back(c.nonce());
      return proof_message("");
    });
  CHECK(nonces[0] != nonces[1]);
  CHECK(nonces[1] != nonces[2]);
}

awaitable<void> only_dialled(Link& link, Ends& ends) { co_await dialled_side(link, ends); }

TEST_CASE("a peer that says nothing is left after handshake_max") {
  asio::io_context io{1};
  auto [a, b] = make_memory_links(io.get_executor(), "hidden1", "source");
  Ends ends;
  const auto before = std::chrono::steady_clock::now();
  run(io, only_dialled(*b, ends));
  CHECK(ends.dialled == asio::error::timed_out);
  CHECK(std::chrono::steady_clock::now() - before >= handshake_max);
}

// ---- Reception

awaitable<void> call_as(std::string address, Credentials credentials, std::string name,
                        std::unique_ptr<Link>& link, error_code& failure) {
  try {
    Socket socket = co_await dial(address);
    link = make_socket_link(std::move(socket), "source");
    co_await handshake_as_dialler(*link, credentials, name, "source");
  } catch (const system_error& error) {
    failure = error.code();
  }
}
awaitable<void> talk_garbage(std::string address) {
  Socket socket = co_await dial(address);
  const std::string garbage = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  co_await socket.async_send(asio::buffer(garbage), use_awaitable);
  char answer[1];
  error_code ended;
  co_await socket.async_receive(asio::buffer(answer), asio::redirect_error(use_awaitable, ended));
}
awaitable<void> besiege(Reception& reception, std::unique_ptr<Link>& arrived, error_code& stranger,
                        error_code& friendly) {
  co_await talk_garbage(reception.address());
  std::unique_ptr<Link> link;
  Credentials wrong = good;
  wrong.secret[0] ^= 1;
  co_await call_as(reception.address(), wrong, "hidden1", link, stranger);
  link.reset();
  std::unique_ptr<Link> mine;
  co_await call_as(reception.address(), good, "hidden1", mine, friendly);
  arrived = co_await reception.wait_for("hidden1");
  error_code again;
  std::unique_ptr<Link> second;
  co_await call_as(reception.address(), good, "hidden1", second, again);
  CHECK(again == TransportError::refused);  // a name comes in once
}
awaitable<void> besieged(Reception& reception, std::unique_ptr<Link>& arrived, error_code& stranger,
                         error_code& friendly) {
  std::vector<awaitable<void>> tasks;
  tasks.push_back(reception.run());
  tasks.push_back(besiege(reception, arrived, stranger, friendly));
  co_await run_until_first_ends(std::move(tasks));
}

TEST_CASE("strangers are refused and logged, and the expected peer still comes in, once") {
  asio::io_context io{1};
  std::vector<std::string> log;
  Reception reception{io.get_executor(), "tcp:127.0.0.1:0", good, "source",
                      [&](const std::string& line) { log.push_back(line); }};
  reception.expect("hidden1");
  std::unique_ptr<Link> arrived;
  error_code stranger, friendly;
  run(io, besieged(reception, arrived, stranger, friendly));
  CHECK(stranger == TransportError::wrong_secret);
  CHECK_FALSE(friendly);
  REQUIRE(arrived);
  CHECK(arrived->peer() == "hidden1");
  REQUIRE(log.size() == 3);
  CHECK(log[0].find("not a frame of this protocol") != std::string::npos);
  CHECK(log[2].find("not a node that is expected here") != std::string::npos);
}

}  // namespace
}  // namespace lateral
