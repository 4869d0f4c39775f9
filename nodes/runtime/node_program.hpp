// run_node(): the program of one node process, which any launcher can start.
#pragma once

#include <cstdint>
#include <string>

#include "nodes/base/failure.hpp"

namespace lateral {

struct NodeCall {
  std::string name;
  std::uint32_t generation = 0;  ///< number of earlier processes of this node
  std::string coordinator;       ///< address
  std::string digest_hex;        ///< of the expected configuration
  std::string secret_file;
  std::string listen;      ///< "unix:PATH" or "tcp:HOST:PORT" at which peers connect
  bool plain_tcp = false;  ///< no TLS; the same for all nodes of a run
};

/// Warning printed for --plain-tcp.
inline constexpr const char* plain_tcp_warning =
    "warning: --plain-tcp: messages between machines can be read and changed in transit";

/// Runs until the node has left the run.  Throws failures that occur before the coordinator is
/// connected.
ExitCode run_node(const NodeCall& call);

}  // namespace lateral
