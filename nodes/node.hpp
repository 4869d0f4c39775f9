// The life of a node: it reports to the coordinator, gets its part, serves it, and says how it
// ended.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nodes/experiment.hpp"
#include "nodes/failure.hpp"
#include "transport/link.hpp"

namespace lateral {

inline constexpr std::chrono::milliseconds heartbeat_interval{100};
/// Time for all links of a node to be made once the coordinator has told where its peers are.
inline constexpr std::chrono::seconds connect_max{10};

/// Largest body that a node takes from its coordinator, which it has authenticated: a matrix of the
/// largest layer that an experiment can ask for.
inline constexpr std::size_t control_body_bytes_max = std::size_t{65536} * 65536 * sizeof(float);

/// What differs between a node that is a process of its own and one among others in one process.
struct NodeSetting {
  std::string name;
  std::string digest;             ///< of the configuration that the node was started for
  std::string listening_address;  ///< where peers can dial; empty within one process
  /// Lets the peers of an assignment call from now on.
  std::function<void(const wire::Assignment&)> expect;
  /// The links to the peers of an assignment.
  std::function<awaitable<std::vector<std::unique_ptr<Link>>>(const wire::Assignment&)> connect;
  std::function<void(const std::string&)> log;  ///< one line of the node's log
  bool own_process = true;
};

/// Lives until the process of the node has finished, something fails, or the coordinator is lost.
/// A failure is reported to the coordinator first.
awaitable<ExitCode> node_life(std::unique_ptr<Link> control, NodeSetting setting);

}  // namespace lateral
