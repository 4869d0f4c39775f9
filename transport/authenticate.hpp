// From a connected socket to an authenticated link: the peer's user or TLS, then the handshake.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "transport/endpoint.hpp"
#include "transport/handshake.hpp"
#include "transport/tls.hpp"

namespace lateral {

/// Deadline for TLS and the handshake together.
inline constexpr std::chrono::milliseconds handshake_max{2000};

/// The side that has dialled `peer`.  Throws what handshake_as_dialler() does, and
/// TransportError::wrong_user, wrong_tls, or asio::error::timed_out after handshake_max.
awaitable<std::unique_ptr<Link>> authenticate_as_dialler(Socket socket, Credentials credentials,
                                                         Identity self, Identity peer);

struct AuthenticatedPeer {
  Identity identity;
  std::unique_ptr<Link> link;
};
/// The side that was dialled. `caller` names the other side until its identity is known. Throws the
/// same errors.
///   tls: used where the connection leaves the machine; created when it is first needed
awaitable<AuthenticatedPeer> authenticate_as_dialled(Socket socket, std::string caller,
                                                     Credentials credentials,
                                                     std::optional<Tls>& tls, Identity self,
                                                     std::function<bool(const Identity&)> expects);

}  // namespace lateral
