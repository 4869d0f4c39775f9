// Fuzz target: bytes of an unauthenticated peer to either side of a handshake.
#include "transport/handshake.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>

#include "tests/fuzz/fuzz.hpp"
#include "transport/socket_link.hpp"

namespace lateral::fuzz {
namespace {

/// Less than the buffer of a socket.
constexpr std::size_t bytes_max = std::size_t{1} << 16;

const Credentials credentials{Secret{1, 2, 3}, std::string(32, 'd')};

const Identity hidden1{"hidden1", 0}, source{"source", 0};

awaitable<void> dialled(Link& link) {
  const std::function<bool(const Identity&)> expects = [](const Identity& peer) {
    return peer.name == hidden1.name && peer.generation == hidden1.generation;
  };
  co_await handshake_as_dialled(link, credentials, source, expects);
  check_property(false, "an unauthenticated peer is not accepted");
}

awaitable<void> dialler(Link& link) {
  co_await handshake_as_dialler(link, credentials, hidden1, source);
  check_property(false, "a dialled peer without proof is not accepted");
}

}  // namespace

std::vector<std::string> seeds() {
  using namespace std::string_literals;
  Message hello, proof, challenge, welcome, refusal;
  wire::Hello& fields = *hello.header.mutable_hello();
  fields.set_protocol_version(protocol_version);
  fields.set_configuration_digest(credentials.configuration_digest);
  fields.set_from("hidden1");
  fields.set_to("source");
  fields.set_nonce(std::string(32, 'n'));
  proof.header.mutable_proof()->set_proof(std::string(32, 'p'));
  challenge.header.mutable_challenge()->set_nonce(std::string(32, 'n'));
  challenge.header.mutable_challenge()->set_proof(std::string(32, 'p'));
  welcome.header.mutable_welcome();
  refusal.header.mutable_refusal()->set_reason("no");
  return {"d"s + encode_head(hello) + encode_head(proof),
          "D"s + encode_head(challenge) + encode_head(welcome), "D"s + encode_head(refusal)};
}

}  // namespace lateral::fuzz

/// The first byte selects the side under test: 'D' dials.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  if (size == 0 || size > fuzz::bytes_max) return 0;
  static asio::io_context io{1};
  asio::local::stream_protocol::socket ours{io}, theirs{io};
  asio::local::connect_pair(ours, theirs);
  asio::write(theirs, asio::buffer(data + 1, size - 1));
  theirs.shutdown(asio::socket_base::shutdown_send);

  const std::unique_ptr<Link> link = make_socket_link(std::move(ours), "unauthenticated");
  bool ended = false;
  asio::co_spawn(io, data[0] == 'D' ? fuzz::dialler(*link) : fuzz::dialled(*link),
                 [&](const std::exception_ptr& failure) {
                   ended = true;
                   fuzz::accepts([&] {
                     if (failure) std::rethrow_exception(failure);
                   });
                 });
  io.restart();
  io.run();
  fuzz::check_property(ended, "a handshake ends when the peer has closed the connection");
  return 0;
}
