// OpenSSL's external pre-shared keys under Asio's TLS stream.
#include "transport/tls.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <stdexcept>

#include "transport/frame_link.hpp"

namespace lateral {
namespace {

using TlsStream = asio::ssl::stream<Socket>;

constexpr std::string_view key_label = "lateral tls 1.3 psk";
constexpr std::string_view key_identity = "lateral";
constexpr std::string_view exporter_label = "EXPORTER-lateral";
constexpr std::size_t exporter_bytes = 32;
constexpr unsigned char cipher_suite[] = {0x13, 0x01};  // TLS_AES_128_GCM_SHA256

void check(bool succeeded, const char* what) {
  if (!succeeded) throw std::runtime_error(fmt::format("OpenSSL: {}", what));
}

/// The key is stored in the context and destroyed with it.
int key_index() {
  static const int index = ::SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* key, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<std::string*>(key);
      });
  return index;
}

SSL_SESSION* session_of_key(SSL* ssl) {
  const auto& key =
      *static_cast<std::string*>(::SSL_CTX_get_ex_data(::SSL_get_SSL_CTX(ssl), key_index()));
  SSL_SESSION* session = ::SSL_SESSION_new();
  if (session != nullptr &&
      (::SSL_SESSION_set1_master_key(session, reinterpret_cast<const unsigned char*>(key.data()),
                                     key.size()) != 1 ||
       ::SSL_SESSION_set_cipher(session, ::SSL_CIPHER_find(ssl, cipher_suite)) != 1 ||
       ::SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) != 1)) {
    ::SSL_SESSION_free(session);
    session = nullptr;
  }
  return session;
}

int offer_key(SSL* ssl, const EVP_MD*, const unsigned char** identity, std::size_t* length,
              SSL_SESSION** session) {
  *identity = reinterpret_cast<const unsigned char*>(key_identity.data());
  *length = key_identity.size();
  *session = session_of_key(ssl);
  return *session != nullptr;
}

int find_key(SSL* ssl, const unsigned char* identity, std::size_t length, SSL_SESSION** session) {
  const bool is_known =
      std::string_view(reinterpret_cast<const char*>(identity), length) == key_identity;
  *session = is_known ? session_of_key(ssl) : nullptr;
  return 1;  // without a session there is no key and no certificate, and the handshake fails
}

/// Accepts exactly one key share, of the one group: otherwise OpenSSL would request another
/// ClientHello, and accept one of any length.
int check_client_hello(SSL* ssl, int* alert, void*) {
  constexpr unsigned char head[] = {0, 36, 0, 0x1d, 0, 32};  // of a list of one X25519 share
  const unsigned char* shares = nullptr;
  std::size_t length = 0;
  if (::SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_key_share, &shares, &length) == 1 &&
      length == sizeof head + 32 && std::equal(std::begin(head), std::end(head), shares))
    return SSL_CLIENT_HELLO_SUCCESS;
  *alert = SSL_AD_HANDSHAKE_FAILURE;
  return SSL_CLIENT_HELLO_ERROR;
}

class TlsLink final : public FrameLink<TlsStream> {
 public:
  using FrameLink::FrameLink;

  // A link is closed by closing its connection, and messages are numbered: a forged end of the
  // stream loses no message, and is treated like any other.
  awaitable<Message> receive() override {
    try {
      Message message = co_await FrameLink::receive();
      co_return message;
    } catch (const system_error& error) {
      if (error.code() == asio::ssl::error::stream_truncated)
        throw system_error(asio::error::eof, peer());
      throw;
    }
  }

  std::string channel_binding() const override {
    std::string binding(exporter_bytes, '\0');
    // native_handle() is not const, but changes nothing.
    SSL* const ssl = const_cast<TlsLink*>(this)->stream().native_handle();
    check(::SSL_export_keying_material(ssl, reinterpret_cast<unsigned char*>(binding.data()),
                                       binding.size(), exporter_label.data(), exporter_label.size(),
                                       nullptr, 0, 0) == 1,
          "no exporter");
    return binding;
  }
};

TlsStream open(SSL_CTX* context, Socket socket) {
  SSL* const ssl = ::SSL_new(context);
  check(ssl != nullptr, "out of memory");
  return {std::move(socket), ssl};
}

[[noreturn]] void refuse(const std::string& peer, const std::string& reason) {
  throw_transport(TransportError::wrong_tls, fmt::format("{}: {}", peer, reason));
}

std::unique_ptr<Link> finish(TlsStream stream, const error_code& failure, std::string peer) {
  if (failure == asio::error::operation_aborted) throw system_error(failure);
  if (failure) refuse(peer, failure.message());
  if (::SSL_session_reused(stream.native_handle()) != 1) refuse(peer, "no pre-shared key");
  return std::make_unique<TlsLink>(std::move(stream), std::move(peer));
}

}  // namespace

Tls::Tls(const Secret& secret) : context_{::SSL_CTX_new(::TLS_method()), ::SSL_CTX_free} {
  SSL_CTX* const context = context_.get();
  check(context != nullptr, "no TLS");
  check(::SSL_CTX_set_ex_data(context, key_index(),
                              new std::string(hmac_sha256(secret, key_label))) == 1,
        "out of memory");
  check(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1, "no TLS 1.3");
  check(::SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") == 1, "no AES-GCM");
  check(SSL_CTX_set1_groups_list(context, "X25519") == 1, "no X25519");
  // An unread ticket would make the closing of a connection an error.
  ::SSL_CTX_set_num_tickets(context, 0);
  ::SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  ::SSL_CTX_set_psk_use_session_callback(context, offer_key);
  ::SSL_CTX_set_psk_find_session_callback(context, find_key);
  ::SSL_CTX_set_client_hello_cb(context, check_client_hello, nullptr);
}

awaitable<std::unique_ptr<Link>> Tls::dial(Socket socket, std::string peer) const {
  TlsStream stream = open(context_.get(), std::move(socket));
  // A peer that does not accept the key could only send a certificate, and none is trusted.
  ::SSL_set_verify(stream.native_handle(), SSL_VERIFY_PEER, nullptr);
  error_code failure;
  co_await stream.async_handshake(asio::ssl::stream_base::client,
                                  asio::redirect_error(use_awaitable, failure));
  co_return finish(std::move(stream), failure, std::move(peer));
}

awaitable<std::unique_ptr<Link>> Tls::answer(Socket socket, std::string peer) const {
  // The ClientHello must be whole in one record: type, version, length; then type, length of it.
  constexpr std::size_t record_head_bytes = 5, head_bytes = record_head_bytes + 4;
  std::array<std::uint8_t, head_bytes + client_hello_bytes_max> hello;
  const asio::mutable_buffer head = asio::buffer(hello, head_bytes);
  co_await asio::async_read(socket, head, use_awaitable);
  const std::size_t record_bytes = std::size_t{hello[3]} << 8 | hello[4];
  const std::size_t body_bytes =
      std::size_t{hello[6]} << 16 | std::size_t{hello[7]} << 8 | hello[8];
  constexpr std::uint8_t handshake_record = 22, client_hello = 1;
  if (hello[0] != handshake_record || hello[1] != 3 || hello[5] != client_hello ||
      body_bytes > client_hello_bytes_max || record_bytes != body_bytes + 4)
    refuse(peer, fmt::format("no ClientHello of at most {} bytes", client_hello_bytes_max));
  const asio::mutable_buffer body = asio::buffer(hello.data() + head_bytes, body_bytes);
  co_await asio::async_read(socket, body, use_awaitable);

  TlsStream stream = open(context_.get(), std::move(socket));
  const asio::const_buffer received = asio::buffer(hello.data(), head_bytes + body_bytes);
  error_code failure;
  co_await stream.async_handshake(asio::ssl::stream_base::server, received,
                                  asio::redirect_error(use_awaitable, failure));
  co_return finish(std::move(stream), failure, std::move(peer));
}

}  // namespace lateral
