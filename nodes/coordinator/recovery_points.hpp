// RecoveryPoints: snapshots of the network, on disk, from which a run or a lost node begins again.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nodes/coordinator/membership.hpp"
#include "nodes/coordinator/run_plan.hpp"

namespace lateral {

/// A snapshot is a consistent cut: its marker runs through the streams of messages, so what a node
/// had sent to a peer when the marker passed, the peer had taken up. Each node reports its part,
/// and then the tensors of its state; the parts of all nodes together are written as a checkpoint.
///
/// The checkpoint is then the pending recovery point. It is committed once no replacement is still
/// repeating what comes before it: until then the peers of that replacement must keep what they
/// have sent since the committed recovery point, or send it again from there if they are lost too.
/// From the committed one a lost node begins again: alone, with the messages that its peers have
/// kept since, repeating what its predecessor sent, which everybody who has it drops.
class RecoveryPoints {
 public:
  /// All must outlive it.  `recoverable`: lost nodes are replaced; otherwise only checkpoints are
  /// written.  Throws UserError if a tensor of plan.start is for a layer that the network lacks.
  RecoveryPoints(const Experiment& experiment, const RunPlan& plan, const Membership& membership,
                 bool recoverable);

  // ---- Snapshots. All nodes report the same ones in the same order, but one may be ahead of
  // another.
  void add_part(const std::string& node, const wire::SnapshotPart& part);
  void add_tensor(const std::string& node, Message message);
  /// The next snapshot of which everything has come; none while a recovery point is pending, of
  /// which the file is not to be overwritten.
  const wire::Snapshot* next_complete() const;
  /// Writes that snapshot as a checkpoint (with a directory), which becomes the pending recovery
  /// point. Either way the snapshot is done with.  Throws UserError if it cannot be written.
  ///   wall_seconds: spent on the run so far
  void save_next(double wall_seconds);
  /// The pending recovery point, if it can be committed now; it is the committed one then.
  const wire::Snapshot* commit_recovery_point();

  // ---- Where a node begins: at the committed recovery point, or else at the start of the run
  void set_start(const std::string& node, wire::Assignment& assignment) const;
  /// The tensors of its state.  Throws NetworkError if they cannot be read.
  std::vector<CheckpointTensor> state_of(const std::string& node) const;
  /// The number of the last report made before the start of a replacement.
  std::uint64_t reports_before(const std::string& node) const;
  /// The training step of the committed recovery point.
  std::optional<std::uint64_t> committed_step() const;

  // ---- The end of the run
  std::uint64_t last_step() const { return last_step_; }  ///< of the last snapshot
  /// Of the final state; empty before.
  const std::string& state_sha256() const { return state_sha256_; }
  /// Throws UserError if there is a final state and it could not be written.
  void check_final_saved() const;

 private:
  /// What one node has reported of a snapshot.
  struct Part {
    wire::SnapshotPart reported;
    std::uint64_t reports = 0;  // of the node, up to and with this one
    std::vector<CheckpointTensor> tensors;
    bool is_complete() const { return tensors.size() == reported.tensors(); }
  };
  struct RecoveryPoint {
    wire::Snapshot snapshot;
    std::map<std::string, Part> parts;  // without tensors, which are on disk
  };

  void check_consistent(const RecoveryPoint& point) const;

  const Experiment& experiment_;
  const RunPlan& plan_;
  const Membership& membership_;
  bool recoverable_;
  std::map<std::string, std::deque<Part>> parts_;
  std::optional<RecoveryPoint> committed_, pending_;
  std::uint64_t last_step_ = 0;
  std::optional<std::uint64_t> saved_step_;  // of the checkpoint that was written last
  std::string state_sha256_;
};

}  // namespace lateral
