// SocketLink: a Link over a connected Unix-domain or TCP socket.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>

#include "transport/link.hpp"

namespace lateral {

using Socket = asio::generic::stream_protocol::socket;

/// Starts with handshake_limits. `peer` names the other side in messages until its identity is
/// known.
std::unique_ptr<Link> make_socket_link(Socket socket, std::string peer);

}  // namespace lateral
