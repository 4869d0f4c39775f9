// The program of one node process, which any launcher can start.
#pragma once

#include <cstdint>
#include <string>

#include "nodes/base/failure.hpp"

namespace lateral {

struct NodeCall {
  std::string name;
  std::uint32_t generation = 0;  ///< how many of this name came before it
  std::string coordinator;       ///< address
  std::string digest_hex;        ///< of the configuration it expects
  std::string secret_file;
  std::string listen;      ///< "unix:PATH" or "tcp:HOST:PORT" where its peers can dial
  bool plain_tcp = false;  ///< no TLS, as the rest of the run
};

/// What who asks for plain TCP is told.
inline constexpr const char* plain_tcp_warning =
    "warning: --plain-tcp: what passes between machines can be read and changed on its way";

/// Lives until the node's part in the run is over.  Throws what ends it before it has a coordinator
/// to tell.
ExitCode run_node(const NodeCall& call);

}  // namespace lateral
