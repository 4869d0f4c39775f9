// Fuzz target: bytes of an unauthenticated peer to a listening node, without and with TLS.
#include "transport/reception.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>

#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {
namespace {

/// Less than the buffer of a socket.
constexpr std::size_t bytes_max = std::size_t{1} << 16;

const Credentials credentials{Secret{1, 2, 3}, std::string(32, 'd')};
const Identity hidden1{"hidden1", 0}, source{"source", 0};

awaitable<void> plain(Socket socket) {
  std::optional<Tls> none;
  const std::function<bool(const Identity&)> expects = [](const Identity& peer) {
    return peer.name == hidden1.name;
  };
  co_await authenticate_as_dialled(std::move(socket), "caller", credentials, none, source, expects);
  check_property(false, "an unauthenticated peer is not accepted");
}

awaitable<void> tls(Socket socket) {
  static const Tls context{credentials.secret};
  co_await context.answer(std::move(socket), "caller");
  check_property(false, "an unauthenticated peer is not accepted");
}

/// A valid ClientHello.
std::string client_hello() {
  asio::io_context io{1};
  asio::local::stream_protocol::socket ours{io}, theirs{io};
  asio::local::connect_pair(ours, theirs);
  const Tls context{credentials.secret};
  asio::co_spawn(io, context.dial(Socket{std::move(ours)}, "peer"),
                 [](const std::exception_ptr&, const std::unique_ptr<Link>&) {});
  std::string hello(4096, '\0');
  io.run_one();
  io.poll();
  hello.resize(theirs.receive(asio::buffer(hello)));
  return hello;
}

}  // namespace

std::vector<std::string> seeds() {
  using namespace std::string_literals;
  Message hello, proof;
  wire::Hello& fields = *hello.header.mutable_hello();
  fields.set_protocol_version(protocol_version);
  fields.set_configuration_digest(credentials.configuration_digest);
  fields.set_from(hidden1.name);
  fields.set_to(source.name);
  fields.set_nonce(std::string(32, 'n'));
  proof.header.mutable_proof()->set_proof(std::string(32, 'p'));
  return {"p"s + encode_head(hello) + encode_head(proof), "T"s + client_hello(),
          "T\x16\x03\x01\x00\x24\x01\x00\x00\x20"s + std::string(32, 'x')};
}

}  // namespace lateral::fuzz

/// The first byte selects the transport: 'T' for TLS.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  if (size == 0 || size > fuzz::bytes_max) return 0;
  static asio::io_context io{1};
  asio::local::stream_protocol::socket ours{io}, theirs{io};
  asio::local::connect_pair(ours, theirs);
  asio::write(theirs, asio::buffer(data + 1, size - 1));
  theirs.shutdown(asio::socket_base::shutdown_send);

  bool ended = false;
  asio::co_spawn(
      io,
      data[0] == 'T' ? fuzz::tls(Socket{std::move(ours)}) : fuzz::plain(Socket{std::move(ours)}),
      [&](const std::exception_ptr& failure) {
        ended = true;
        fuzz::accepts([&] {
          if (failure) std::rethrow_exception(failure);
        });
      });
  io.restart();
  io.run();
  fuzz::check_property(ended, "a handshake ends when the caller has closed the connection");
  return 0;
}
