// run_node(): the program of one node process, which any launcher can start.
#pragma once

#include <cstdint>
#include <string>

#include "nodes/base/failure.hpp"

namespace lateral {

struct NodeCall {
  std::string name;
  std::uint32_t generation = 0;  ///< number of nodes of this name before it
  std::string coordinator;       ///< address
  std::string digest_hex;        ///< of the configuration that it expects
  std::string secret_file;
  std::string listen;      ///< "unix:PATH" or "tcp:HOST:PORT" where its peers can connect
  bool plain_tcp = false;  ///< no TLS, like the other nodes of the run
};

/// Warning printed for --plain-tcp.
inline constexpr const char* plain_tcp_warning =
    "warning: --plain-tcp: what passes between machines can be read and changed on its way";

/// Runs until the node's part in the run is over.  Throws what ends it before there is a
/// coordinator to report it to.
ExitCode run_node(const NodeCall& call);

}  // namespace lateral
