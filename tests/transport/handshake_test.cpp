// Only an expected peer with the secret and the same experiment is accepted.
#include "transport/handshake.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "nodes/base/digest.hpp"
#include "tests/support/run.hpp"
#include "transport/memory_link.hpp"
#include "transport/task.hpp"

namespace lateral {
namespace {

const Credentials good{Secret{1, 2, 3}, sha256("experiment")};
const Identity hidden1{"hidden1", 2}, source{"source", 0};

struct Ends {
  error_code dialler, dialled;
  std::string name;
};

awaitable<void> dial_side(Link& link, Credentials credentials, Identity to, Ends& ends) {
  try {
    co_await handshake_as_dialler(link, credentials, hidden1, to);
  } catch (const system_error& error) {
    ends.dialler = error.code();
    link.close();
  }
}
awaitable<void> dialled_side(Link& link, Ends& ends) {
  const std::function<bool(const Identity&)> expects = [](const Identity& peer) {
    return peer.name == hidden1.name && peer.generation == hidden1.generation;
  };
  try {
    const Identity peer = co_await handshake_as_dialled(link, good, source, expects);
    ends.name = peer.name;
  } catch (const system_error& error) {
    ends.dialled = error.code();
    link.close();
  }
}
awaitable<void> meet(Link& a, Link& b, Credentials credentials, Identity to, Ends& ends) {
  auto executor = co_await asio::this_coro::executor;
  auto group = asio::experimental::make_parallel_group(
      asio::co_spawn(executor, dial_side(a, credentials, to, ends), asio::deferred),
      asio::co_spawn(executor, dialled_side(b, ends), asio::deferred));
  co_await group.async_wait(asio::experimental::wait_for_all(), use_awaitable);
}

/// An end of a connection with the channel binding of a TLS channel.
class BoundLink final : public Link {
 public:
  BoundLink(std::unique_ptr<Link> link, std::string binding)
      : Link{link->peer()}, link_{std::move(link)}, binding_{std::move(binding)} {}
  awaitable<void> send(Message message) override { return link_->send(std::move(message)); }
  awaitable<Message> receive() override { return link_->receive(); }
  void close() override { link_->close(); }
  void set_limits(const FrameLimits& limits) override { link_->set_limits(limits); }
  std::string channel_binding() const override { return binding_; }

 private:
  std::unique_ptr<Link> link_;
  std::string binding_;
};

Ends meet_with(const Credentials& credentials, const Identity& to = source,
               const std::string& channel = "", const std::string& other_channel = "") {
  asio::io_context io{1};
  auto [a, b] = make_memory_links(io.get_executor(), "hidden1", "source");
  BoundLink bound_a{std::move(a), channel}, bound_b{std::move(b), other_channel};
  Ends ends;
  run(io, meet(bound_a, bound_b, credentials, to, ends));
  return ends;
}

TEST_CASE("two nodes of the same run accept each other") {
  for (const char* channel : {"", "channel"}) {
    const Ends ends = meet_with(good, source, channel, channel);
    CHECK_FALSE(ends.dialler);
    CHECK_FALSE(ends.dialled);
    CHECK(ends.name == "hidden1");
  }
}

TEST_CASE("a peer with another secret is refused before it receives a valid proof") {
  Credentials other = good;
  other.secret[31] ^= 1;
  const Ends ends = meet_with(other);
  CHECK(ends.dialler == TransportError::wrong_secret);  // it finds that we cannot prove its secret
  CHECK(ends.dialled);
  CHECK(ends.name.empty());
}

TEST_CASE("proofs are bound to one TLS channel: a man in the middle cannot forward them") {
  const Ends ends = meet_with(good, source, "a channel", "another channel");
  CHECK(ends.dialler == TransportError::wrong_secret);
  CHECK(ends.name.empty());
  CHECK(meet_with(good, source, "a channel", "").dialler == TransportError::wrong_secret);
}

TEST_CASE("a peer with another experiment is refused and receives the reason") {
  Credentials other = good;
  other.configuration_digest = sha256("another experiment");
  const Ends ends = meet_with(other);
  CHECK(ends.dialler == TransportError::refused);
  CHECK(ends.dialled == TransportError::wrong_configuration);
}

TEST_CASE("a peer that dials another node, or another generation, is refused") {
  CHECK(meet_with(good, {"readout", 0}).dialled == TransportError::wrong_peer);
  CHECK(meet_with(good, {"source", 1}).dialler == TransportError::wrong_peer);
}

// Dials manually: sends `first`, then answers the challenge with `answer`.
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

Message hello(std::uint32_t version = protocol_version, const Identity& from = hidden1) {
  Message message;
  wire::Hello& fields = *message.header.mutable_hello();
  fields.set_protocol_version(version);
  fields.set_configuration_digest(good.configuration_digest);
  fields.set_from(from.name);
  fields.set_generation(from.generation);
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
  CHECK(forged(hello(protocol_version, {"hidden9", 2}), never) == TransportError::wrong_peer);
  CHECK(forged(hello(protocol_version, {"hidden1", 1}), never) == TransportError::wrong_peer);
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

TEST_CASE("HMAC-SHA256 equals that of RFC 4231") {
  Secret secret{};  // RFC 4231, test case 1: the key is padded with zeros in any case
  std::fill_n(secret.begin(), 20, std::uint8_t{0x0b});
  CHECK(to_hex(hmac_sha256(secret, "Hi There")) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
}

}  // namespace
}  // namespace lateral
