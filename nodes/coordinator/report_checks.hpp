// ReportChecks: whether a node may send a message now, by the experiment and by what it has sent
// before.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "nodes/coordinator/membership.hpp"
#include "nodes/coordinator/run_plan.hpp"
#include "transport/frame.hpp"

namespace lateral {

/// What the coordinator accepts from a node in one frame: the largest header and body of an honest
/// one.
FrameLimits report_limits(const Experiment& experiment, const std::string& node);

/// Address at which a node listens.
inline constexpr std::size_t address_bytes_max = 512;
/// Probes that a layer may report of one step.
inline constexpr int probes_per_step_max = 64;
/// Snapshots whose tensors the coordinator holds of one layer, besides one for each step in flight:
/// by so many one layer may be ahead of another node, with what waits in sockets.
inline constexpr std::size_t snapshots_ahead_max = 16;
/// The same of a node without tensors, whose parts are small.
inline constexpr std::size_t empty_parts_ahead_max = 4096;

/// Bytes of this node's messages that the coordinator holds at most, whatever the node sends: its
/// received frames (each up to 40 times as large once it is parsed), and the snapshots above.
std::uint64_t bytes_held_max(const Experiment& experiment, const std::string& node);

/// Every message is checked before anything of it is kept; each check throws
/// TransportError::unexpected_message with the node, the value and what was expected. Repeated
/// reports of a replacement are not to be checked again. Tensors are checked by RecoveryPoints.
class ReportChecks {
 public:
  ReportChecks(const Experiment& experiment, const RunPlan& plan);

  void check(const std::string& node, Membership::Stage stage, const wire::Header& header);
  /// From now on the final snapshot may come before the last epoch has ended.
  void stop_requested() { may_stop_ = true; }

 private:
  struct Position {
    std::uint64_t step = 0, epoch = 0;
    bool final = false;
    auto operator<=>(const Position&) const = default;
  };
  /// What a node has reported last.
  struct Last {
    std::uint64_t step = 0, epoch = 0;  // of the readout
    std::uint64_t probe_step = 0;
    int probes = 0;  // of that step
    bool has_snapshot = false;
    Position snapshot;
    bool has_finished = false;
  };

  void check_ready(const std::string& node, const wire::Ready& ready) const;
  void check_progress(const std::string& node, const wire::Progress& progress);
  void check_epoch_result(const std::string& node, const wire::EpochResult& result);
  void check_probe(const std::string& node, const wire::Probe& probe);
  void check_snapshot_part(const std::string& node, const wire::SnapshotPart& part);
  void check_finished(const std::string& node);
  bool is_layer(const std::string& node) const { return tensors_.contains(node); }

  const Experiment& experiment_;
  const RunPlan& plan_;
  std::uint64_t last_step_;                                // of the run
  std::map<std::string, std::uint32_t> tensors_;           // of each layer
  std::map<std::string, std::vector<std::string>> peers_;  // of each node
  std::map<std::string, Last> last_;
  bool may_stop_ = false;
};

}  // namespace lateral
