// Tls: TLS 1.3 under the secret of the run, for connections that leave the machine.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>

#include "transport/handshake.hpp"
#include "transport/socket_link.hpp"

namespace lateral {

/// Longest ClientHello that is read; OpenSSL gets no byte of a longer one. A valid one has 251
/// bytes.
inline constexpr std::size_t client_hello_bytes_max = 1024;

/// One cipher suite (TLS_AES_128_GCM_SHA256), one group (X25519), an external pre-shared key with
/// an ephemeral exchange; no certificates, no tickets, no early data. The key is
/// HMAC-SHA256(secret, "lateral tls 1.3 psk"), so that TLS and the proofs of the handshake use
/// different keys.
class Tls {
 public:
  explicit Tls(const Secret& secret);

  /// The dialling and the dialled side. Both throw system_error (TransportError::wrong_tls) when
  /// the other side does not know the key or uses another protocol, or what the socket throws.
  /// `peer` names the other side in messages.
  awaitable<std::unique_ptr<Link>> dial(Socket socket, std::string peer) const;
  awaitable<std::unique_ptr<Link>> answer(Socket socket, std::string peer) const;

 private:
  std::shared_ptr<SSL_CTX> context_;
};

}  // namespace lateral
