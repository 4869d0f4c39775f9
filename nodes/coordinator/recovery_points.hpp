// RecoveryPoints: snapshots of the network, on disk, from which a run or a lost node is restarted.
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

/// A snapshot is a consistent cut: its marker runs through the streams of messages, so every
/// message that a node had sent to a peer when it passed the marker, the peer had handled when it
/// received the marker. Each node reports its part, and then the tensors of its state; the parts of
/// all nodes together are written as a checkpoint.
///
/// The checkpoint is then the pending recovery point. It is committed once no replacement is still
/// repeating reports from before it: until then the peers of that replacement must retain what they
/// have sent since the committed recovery point, or repeat it from there if they are lost too. A
/// lost node alone is restarted from the committed recovery point, with the messages that its peers
/// have retained since; it repeats what its predecessor sent, and peers drop what they have
/// received before.
class RecoveryPoints {
 public:
  /// All must outlive it.  `recoverable`: lost nodes are replaced; otherwise only checkpoints are
  /// written.  Throws UserError if a tensor of plan.start is for a layer that the network lacks.
  RecoveryPoints(const Experiment& experiment, const RunPlan& plan, const Membership& membership,
                 bool recoverable);

  // ---- Snapshots. All nodes report the same ones in the same order, but one may be ahead of
  // another.
  /// `part` must be one that the node may send (ReportChecks).  Throws
  /// TransportError::unexpected_message if too many of its snapshots wait for those of others.
  void add_part(const std::string& node, const wire::SnapshotPart& part);
  /// Throws TransportError::unexpected_message unless it is the next tensor of the layer's state,
  /// or one that has come before.
  void add_tensor(const std::string& node, Message message);
  /// The next snapshot that is complete; none while a recovery point is pending, whose file must
  /// not be overwritten.
  const wire::Snapshot* next_complete() const;
  /// Writes that snapshot as a checkpoint (with a directory), which becomes the pending recovery
  /// point. The snapshot leaves the queue even if that fails.  Throws UserError if it cannot be
  /// written.
  ///   wall_seconds: spent on the run so far
  ///   first_loss: of the first batch of the run
  void save_next(double wall_seconds, double first_loss);
  /// Commits the pending recovery point if that is possible now, and returns it; otherwise null.
  const wire::Snapshot* commit_recovery_point();

  // ---- The position at which a node begins: the committed recovery point, or the start of the run
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
    std::uint64_t reports = 0;  // of the node, this one included
    std::vector<CheckpointTensor> tensors;
    bool is_complete() const { return tensors.size() == reported.tensors(); }
  };
  struct RecoveryPoint {
    wire::Snapshot snapshot;
    std::map<std::string, Part> parts;  // without tensors, which are on disk
  };

  /// Throws TransportError::unexpected_message if the parts contradict each other.
  void check_consistent(const RecoveryPoint& point) const;

  const Experiment& experiment_;
  const RunPlan& plan_;
  const Membership& membership_;
  bool recoverable_;
  std::map<std::string, std::deque<Part>> parts_;
  std::map<std::string, std::vector<TensorSpec>> tensors_;  // of each layer
  std::optional<RecoveryPoint> committed_, pending_;
  std::uint64_t last_step_ = 0;
  std::optional<std::uint64_t> saved_step_;  // of the last checkpoint that was written
  std::string state_sha256_;
};

}  // namespace lateral
