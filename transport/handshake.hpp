// The handshake: version, configuration, names, and mutual proof of knowledge of the secret of the
// run.
#pragma once

#include <array>
#include <functional>
#include <string>

#include "transport/link.hpp"

namespace lateral {

inline constexpr std::uint32_t protocol_version = 5;
inline constexpr std::size_t secret_bytes = 32;
using Secret = std::array<std::uint8_t, secret_bytes>;

/// From the operating system's random source.
Secret make_secret();

/// HMAC-SHA256 under the secret, 32 bytes.
std::string hmac_sha256(const Secret& secret, std::string_view bytes);

/// What two nodes must have in common to connect.
struct Credentials {
  Secret secret;
  std::string configuration_digest;  // 32 bytes
  bool plain_tcp = false;            // no TLS, even where a connection leaves the machine
};

/// The node at an end of a link. A node that replaces a lost one has its name and the next
/// generation; older generations are refused.
struct Identity {
  std::string name;
  std::uint32_t generation = 0;
};

/// The dialling side, `from` this node `to` the peer. Returns once both sides have proved that they
/// know the secret, on this connection. Throws system_error: TransportError::refused with the
/// peer's reason, wrong_peer if it is of another generation, wrong_secret, or what the link throws.
awaitable<void> handshake_as_dialler(Link& link, Credentials credentials, Identity from,
                                     Identity to);

/// The dialled side. Returns the peer. `expects`: whether that peer may connect now. A peer that is
/// not admitted receives the reason without its details, and the reason is thrown.
awaitable<Identity> handshake_as_dialled(Link& link, Credentials credentials, Identity self,
                                         std::function<bool(const Identity&)> expects);

}  // namespace lateral
