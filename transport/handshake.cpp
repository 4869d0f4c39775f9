// Challenge and response by HMAC-SHA256 over everything that the two sides have sent.
#include "transport/handshake.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <stdexcept>

namespace lateral {
namespace {

constexpr std::size_t nonce_bytes = 32;

std::string random_bytes(std::size_t n) {
  std::string bytes(n, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(n)) != 1)
    throw std::runtime_error("no random numbers from the operating system");
  return bytes;
}

// Lengths first, so that no two different transcripts have the same bytes.
void append(std::string& transcript, std::string_view field) {
  const auto length = static_cast<std::uint32_t>(field.size());
  for (int shift = 0; shift < 32; shift += 8)
    transcript += static_cast<char>((length >> shift) & 0xff);
  transcript += field;
}

std::string proof(const Secret& secret, std::string_view role, const wire::Hello& hello,
                  const wire::Challenge& challenge, const std::string& channel_binding) {
  std::string transcript;
  append(transcript, role);
  append(transcript, std::to_string(hello.protocol_version()));
  append(transcript, hello.configuration_digest());
  append(transcript, hello.from());
  append(transcript, hello.to());
  append(transcript, hello.nonce());
  append(transcript, std::to_string(hello.generation()));
  append(transcript, std::to_string(challenge.generation()));
  append(transcript, challenge.nonce());
  append(transcript, channel_binding);
  return hmac_sha256(secret, transcript);
}
constexpr std::string_view dialler_role = "lateral dialler";
constexpr std::string_view dialled_role = "lateral dialled";

bool equal_in_constant_time(const std::string& a, const std::string& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// Sends the refusal, unless the connection is closed already, and throws the reason.
awaitable<void> refuse(Link& link, TransportError error, std::string detail) {
  Message refusal;
  refusal.header.mutable_refusal()->set_reason(make_error_code(error).message());
  try {
    co_await link.send(std::move(refusal));
  } catch (const system_error&) {
  }
  throw_transport(error, detail);
}

awaitable<Message> expect_answer(Link& link) {
  Message answer = co_await link.receive();
  if (answer.header.has_refusal())
    throw_transport(TransportError::refused,
                    fmt::format("{} answered: {}", link.peer(), answer.header.refusal().reason()));
  co_return answer;
}

}  // namespace

Secret make_secret() {
  const std::string bytes = random_bytes(secret_bytes);
  Secret secret;
  std::copy(bytes.begin(), bytes.end(), secret.begin());
  return secret;
}

std::string hmac_sha256(const Secret& secret, std::string_view bytes) {
  std::string mac(32, '\0');
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
       reinterpret_cast<unsigned char*>(mac.data()), nullptr);
  return mac;
}

awaitable<void> handshake_as_dialler(Link& link, Credentials credentials, Identity from,
                                     Identity to) {
  Message first;
  wire::Hello& hello = *first.header.mutable_hello();
  hello.set_protocol_version(protocol_version);
  hello.set_configuration_digest(credentials.configuration_digest);
  hello.set_from(from.name);
  hello.set_generation(from.generation);
  hello.set_to(to.name);
  hello.set_nonce(random_bytes(nonce_bytes));
  const wire::Hello sent = hello;
  const std::string binding = link.channel_binding();
  co_await link.send(std::move(first));

  Message answer = co_await expect_answer(link);
  if (!answer.header.has_challenge())
    throw_transport(TransportError::unexpected_message, link.peer());
  const wire::Challenge& challenge = answer.header.challenge();
  if (!equal_in_constant_time(challenge.proof(),
                              proof(credentials.secret, dialled_role, sent, challenge, binding)))
    throw_transport(TransportError::wrong_secret, link.peer());
  if (challenge.generation() != to.generation)
    throw_transport(TransportError::wrong_peer,
                    fmt::format("{} of generation {}, expected {}", to.name, challenge.generation(),
                                to.generation));

  Message last;
  last.header.mutable_proof()->set_proof(
      proof(credentials.secret, dialler_role, sent, challenge, binding));
  co_await link.send(std::move(last));
  Message welcome = co_await expect_answer(link);
  if (!welcome.header.has_welcome())
    throw_transport(TransportError::unexpected_message, link.peer());
}

awaitable<Identity> handshake_as_dialled(Link& link, Credentials credentials, Identity self,
                                         std::function<bool(const Identity&)> expects) {
  const Message first = co_await link.receive();
  if (!first.header.has_hello()) throw_transport(TransportError::unexpected_message, link.peer());
  const wire::Hello& hello = first.header.hello();
  const Identity peer{hello.from(), hello.generation()};
  const std::string caller =
      fmt::format("{} as '{}' of generation {}", link.peer(), peer.name, peer.generation);
  if (hello.protocol_version() != protocol_version)
    co_await refuse(link, TransportError::wrong_version,
                    fmt::format("{}: version {}, expected {}", caller, hello.protocol_version(),
                                protocol_version));
  if (hello.nonce().size() != nonce_bytes)
    co_await refuse(link, TransportError::malformed_header, caller);
  if (hello.configuration_digest() != credentials.configuration_digest)
    co_await refuse(link, TransportError::wrong_configuration, caller);
  if (hello.to() != self.name || !expects(peer))
    co_await refuse(link, TransportError::wrong_peer, caller);

  const std::string binding = link.channel_binding();
  wire::Challenge challenge;
  challenge.set_nonce(random_bytes(nonce_bytes));
  challenge.set_generation(self.generation);
  challenge.set_proof(proof(credentials.secret, dialled_role, hello, challenge, binding));
  Message answer;
  *answer.header.mutable_challenge() = challenge;
  co_await link.send(std::move(answer));

  const Message last = co_await link.receive();
  if (!last.header.has_proof() ||
      !equal_in_constant_time(last.header.proof().proof(),
                              proof(credentials.secret, dialler_role, hello, challenge, binding)))
    co_await refuse(link, TransportError::wrong_secret, caller);
  Message welcome;
  welcome.header.mutable_welcome();
  co_await link.send(std::move(welcome));
  co_return peer;
}

}  // namespace lateral
