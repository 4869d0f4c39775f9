// The life of a node: it reports to the coordinator, gets its part, serves it, and says how it
// ended.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "nodes/experiment/experiment.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/runtime/ports.hpp"
#include "transport/handshake.hpp"

namespace lateral {

inline constexpr std::chrono::milliseconds heartbeat_interval{100};
/// Time for all links of a node to be made once the coordinator has told where its peers are.
inline constexpr std::chrono::seconds connect_max{300};

/// Largest body that a node takes from its coordinator, which it has authenticated: a matrix of the
/// largest layer that an experiment can ask for.
inline constexpr std::size_t control_body_bytes_max = std::size_t{65536} * 65536 * sizeof(float);

/// What differs between a node that is a process of its own and one among others in one process.
struct NodeSetting {
  std::string name;
  std::string digest;             ///< of the configuration that the node was started for
  std::string listening_address;  ///< where peers can dial; empty within one process
  /// Where links that arrive go from now on, and what they may carry; nullptr: nowhere.
  std::function<void(Ports* network, const FrameLimits& limits)> join;
  /// Who is at the other end of a link: this generation may call from now on, or, once dial() has
  /// been called, is dialled whenever it has no link that works.
  std::function<void(const wire::Peer&)> meet;
  std::function<void()> dial;
  std::function<void(const std::string&)> log;  ///< one line of the node's log
  bool own_process = true;
};

/// Lives until the process of the node has finished and nobody needs it any more, something fails,
/// or the coordinator is lost. A failure is reported to the coordinator first.
///   control: a port to the coordinator, which somebody else keeps linked
awaitable<ExitCode> node_life(Ports& control, NodeSetting setting);

}  // namespace lateral
