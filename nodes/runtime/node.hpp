// run_node_session(): runs a node from its registration to its end.
#pragma once

#include <functional>
#include <string>

#include "nodes/base/failure.hpp"
#include "nodes/base/log.hpp"
#include "nodes/runtime/ports.hpp"

namespace lateral {

inline constexpr std::chrono::milliseconds heartbeat_interval{100};
/// Time for all links of a node to be established after the coordinator has sent Connect.
inline constexpr std::chrono::seconds connect_max{300};

/// Largest body that a node accepts from its authenticated coordinator: a matrix of the largest
/// layer that an experiment can have.
inline constexpr std::size_t control_body_bytes_max = std::size_t{65536} * 65536 * sizeof(float);

/// The environment of a node: an operating system process of its own, or one shared with other
/// nodes.
struct NodeSetting {
  std::string name;
  std::string digest;  ///< of the configuration that the node was started for
  std::uint32_t generation = 0;
  std::string listening_address;  ///< where peers can connect; empty within one process
  /// The ports that receive links from now on, and the limits of these links; nullptr: none.
  std::function<void(Ports* network, const FrameLimits& limits)> set_network;
  /// The generation and address of a peer from now on, and the side that dials.
  std::function<void(const wire::Peer&)> set_peer;
  /// From now on the peers that this node dials are dialled whenever they have no working link.
  std::function<void()> dial_peers;
  Log log;
  bool own_process = true;
};

/// Runs a session until the node's part in the run is over, something fails, or the coordinator is
/// lost. A failure is reported to the coordinator first.
///   control: has a port to the coordinator, which the caller keeps linked
awaitable<ExitCode> run_node_session(Ports& control, NodeSetting setting);

}  // namespace lateral
