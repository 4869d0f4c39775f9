// launch(): runs a whole network, as processes of this machine or within this process, to its end.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "nodes/base/failure.hpp"
#include "nodes/coordinator/run_plan.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/results/progress.hpp"
#include "nodes/results/summary.hpp"

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

/// Time for nodes to end after Leave.
inline constexpr std::chrono::milliseconds leave_time_max{2000};

struct Outcome {
  ExitCode code = ExitCode::done;
  std::string message;             ///< why, if it failed
  int signal = 0;                  ///< SIGINT, SIGTERM or SIGHUP that ended the run early
  bool began = false;              ///< training (or evaluation) had begun
  std::optional<Summary> summary;  ///< if all nodes have finished
};

/// Writes the files of the plan, and fills in its log. Failures of the run are returned in the
/// outcome, not thrown.
///   terminal: the observer beside those that write files
Outcome launch(const Experiment& experiment, RunPlan& plan, Placement placement,
               const TcpParams& tcp, RunObserver& terminal);

}  // namespace lateral
