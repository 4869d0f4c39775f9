// Coordinator: what each message of a node means to the run: it starts the network, saves its
// state, replaces lost nodes and collects results.
#pragma once

#include <optional>
#include <string>

#include "nodes/coordinator/membership.hpp"
#include "nodes/coordinator/recovery_points.hpp"
#include "nodes/coordinator/run_observers.hpp"
#include "nodes/coordinator/run_plan.hpp"
#include "nodes/coordinator/run_statistics.hpp"

namespace lateral {

/// Decides; neither waits nor knows how nodes are reached. Messages of different nodes may come in
/// any order; nothing that is written depends on it but times.
class Coordinator {
 public:
  /// All must outlive it.  Throws UserError if a tensor is for a layer that the network lacks.
  ///   terminal: the observer beside those that write files
  ///   recoverable: lost nodes are replaced
  Coordinator(const Experiment& experiment, const RunPlan& plan, RunObserver& terminal,
              bool recoverable);

  /// `generation`: of the process that sent it. Messages of one that has been replaced are dropped;
  /// its replacement repeats them. Returns false if the message was dropped for that reason.
  bool handle(const std::string& node, std::uint32_t generation, Message message, Outbox& out);

  struct Replacement {
    std::optional<std::uint32_t>
        generation;       ///< of the process to start; none: the node stays lost
    std::string refusal;  ///< why, to be added to the reason of the loss
  };
  /// The node was lost for that reason.
  Replacement replace(const std::string& node, const std::string& reason);
  /// Lets all nodes leave.
  void dismiss(Outbox& out) const { membership_.dismiss(out); }
  /// Makes the source end the run after the batch at hand, once no node is replaying. A source that
  /// is lost after that cannot be replaced: only it knew where it stopped.
  void stop(Outbox& out);

  bool has_begun() const { return statistics_.has_begun(); }
  /// Once all have finished: writes summary.json (with a directory) and returns what is in it.
  Summary conclude(const NodeSummary& coordinator);
  /// The run is over, finished or not: writes what has been measured and not yet written.
  void end() { observers_.notify(&RunObserver::end); }

 private:
  void dispatch(const std::string& node, Message message, Outbox& out);
  void assign(const std::string& node, Outbox& out);
  void on_ready(const std::string& node, const wire::Ready& ready, Outbox& out);
  void begin(const wire::Ready& data);
  /// Saves the snapshots of which everything has come.
  void save_snapshots(Outbox& out);
  /// Returns whether there is a new recovery point.
  bool commit_recovery_point(Outbox& out);

  const Experiment& experiment_;
  const RunPlan& plan_;
  bool recoverable_;
  RunObservers observers_;
  Membership membership_;
  RecoveryPoints recovery_points_;
  RunStatistics statistics_;
  wire::Ready data_;  // as the source has it
  bool stop_requested_ = false, stop_sent_ = false;
};

}  // namespace lateral
