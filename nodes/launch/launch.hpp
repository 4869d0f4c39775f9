// launch(): runs a whole network, as processes of this machine or within this process, to its end.
#pragma once

#include <optional>

#include "nodes/coordinator/coordinator.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/results/progress.hpp"

namespace lateral {

enum class Placement {
  unix_sockets,  ///< a process a node, Unix-domain sockets
  tcp_sockets,   ///< a process a node, TCP
  in_process,    ///< all nodes in this process
};

/// Where nodes and coordinator listen, with TCP.
struct TcpParams {
  std::string host = "127.0.0.1";  ///< an address of this machine
  bool plain = false;              ///< without TLS, also if it is not a loopback address
};

/// Time for nodes to leave when all is done.
inline constexpr std::chrono::milliseconds farewell_max{2000};
/// A node that has said nothing for so many heartbeat intervals of ours is lost. Counted in ticks
/// of our own, so that a machine or a terminal that was suspended does not make everybody look
/// dead.
inline constexpr int silent_ticks_max = 15;
/// The same for one that has not called yet, or whose link broke.
inline constexpr int unlinked_ticks_max = 100;
/// A node whose heart beats hangs in its work if that takes longer than this, and so many times as
/// long as any before.
inline constexpr std::uint32_t work_ms_min = 60000;
inline constexpr std::uint32_t longer_work_max = 20;
/// Time in which the cause of a failure may turn up after its first sign; and as many times as long
/// where what a node said before it went still waits to be read.
inline constexpr std::chrono::milliseconds evidence_max{150};
inline constexpr int evidence_rounds_max = 6;
/// Time for a network to come to the end of its batch and hand over its state after Ctrl-C.
inline constexpr std::chrono::seconds stop_max{60};

struct Outcome {
  ExitCode code = ExitCode::done;
  std::string message;             ///< why, if it failed
  int signal = 0;                  ///< SIGINT, SIGTERM or SIGHUP that ended the run early
  bool began = false;              ///< training (or evaluation) had begun
  std::optional<Summary> summary;  ///< if it came to an orderly end
};

/// Writes what the plan says; never throws for what can go wrong with a network.
Outcome launch(const Experiment& experiment, const RunPlan& plan, Placement placement,
               const TcpParams& tcp, Progress& progress);

}  // namespace lateral
