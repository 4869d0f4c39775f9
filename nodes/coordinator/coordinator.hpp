// Coordinator: handles the messages of all nodes: it starts the network, saves its state, replaces
// lost nodes and collects results.
#pragma once

#include <optional>
#include <string>

#include "nodes/coordinator/membership.hpp"
#include "nodes/coordinator/recovery_points.hpp"
#include "nodes/coordinator/report_checks.hpp"
#include "nodes/coordinator/run_observers.hpp"
#include "nodes/coordinator/run_plan.hpp"
#include "nodes/coordinator/run_statistics.hpp"

namespace lateral {

/// Never waits, and does not depend on how nodes are reached. Messages of different nodes may
/// arrive in any order; of the results only times depend on it.
class Coordinator {
 public:
  /// All must outlive it.  Throws UserError if a tensor is for a layer that the network lacks.
  ///   terminal: the observer beside those that write files
  ///   recoverable: lost nodes are replaced
  Coordinator(const Experiment& experiment, const RunPlan& plan, RunObserver& terminal,
              bool recoverable);

  /// `generation`: of the process that sent it. Messages of one that has been replaced are dropped;
  /// its replacement repeats them. Returns false if the message was dropped for that reason.
  /// Throws TransportError::unexpected_message, before anything of it is kept, if the node may not
  /// send it now.
  bool handle(const std::string& node, std::uint32_t generation, Message message, Outbox& out);

  struct Replacement {
    std::optional<std::uint32_t>
        generation;       ///< of the process to start; none: the node is not replaced
    std::string refusal;  ///< why, to be added to the reason of the loss
  };
  /// To be called when a node has been lost. `reason`: of the loss.
  Replacement replace(const std::string& node, const std::string& reason);
  /// Sends Leave to all nodes.
  void dismiss(Outbox& out) const { membership_.dismiss(out); }
  /// Sends Stop to the source, which ends the run after the current batch; waits until no node is
  /// replaying. A source that is lost after that cannot be replaced: the step at which it stopped
  /// is lost.
  void stop(Outbox& out);

  bool has_begun() const { return statistics_.has_begun(); }
  /// Once all have finished: writes summary.json (with a directory) and returns what is in it.
  Summary conclude(const NodeSummary& coordinator);
  /// Ends the run, complete or not: writes all results that have not been written yet.
  void end() { observers_.notify(&RunObserver::end); }

 private:
  void dispatch(const std::string& node, Message message, Outbox& out);
  void assign(const std::string& node, Outbox& out);
  void on_ready(const std::string& node, const wire::Ready& ready, Outbox& out);
  void begin(const wire::Ready& data);
  /// Refuses data other than those of the run.
  void check_data(const wire::Ready& ready) const;
  /// Saves the snapshots that are complete.
  void save_snapshots(Outbox& out);
  /// Returns whether there is a new recovery point.
  bool commit_recovery_point(Outbox& out);

  const Experiment& experiment_;
  const RunPlan& plan_;
  bool recoverable_;
  RunObservers observers_;
  Membership membership_;
  ReportChecks checks_;
  RecoveryPoints recovery_points_;
  RunStatistics statistics_;
  wire::Ready data_;  // of the source
  bool stop_requested_ = false, stop_sent_ = false;
};

}  // namespace lateral
