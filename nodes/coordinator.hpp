// Coordinator: what one message means to the coordinator, who starts the network and collects its
// results.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "nodes/network.hpp"
#include "nodes/process.hpp"
#include "nodes/results/checkpoint.hpp"
#include "nodes/results/metrics.hpp"
#include "nodes/results/progress.hpp"
#include "nodes/results/recording_file.hpp"
#include "nodes/results/run_directory.hpp"
#include "nodes/results/summary.hpp"

namespace lateral {

/// Where a run begins and what becomes of it.
struct RunPlan {
  std::string data_directory;
  Checkpoint start;      ///< tensors to start from, and the position of a resumed run
  bool resumed = false;  ///< false: only the tensors of `start` count
  bool evaluate_only = false;
  int threads = 0;                        ///< of each layer; 0: one for each processor
  std::optional<RunDirectory> directory;  ///< nothing is written without one
};

/// Decides; neither waits nor knows how nodes are reached. Messages of different nodes may come in
/// any order; nothing that is written depends on it but times.
class Coordinator {
 public:
  /// Both must outlive it.  Throws UserError if a tensor is for a layer that the network lacks.
  Coordinator(const Experiment& experiment, const RunPlan& plan, Progress& progress);

  void handle(const std::string& node, Message message, Outbox& out);
  /// Tells the source to end the run after the batch at hand.
  static void stop(Outbox& out);

  bool has_begun() const { return began_.has_value(); }
  /// Once all have finished: writes summary.json (with a directory) and returns what is in it.
  Summary conclude(const NodeSummary& coordinator);
  /// Writes what has been measured and not yet written (for a run that ends early).
  void flush();

 private:
  using Clock = std::chrono::steady_clock;
  /// One node's part of a snapshot.
  struct Part {
    std::vector<CheckpointTensor> tensors;
    wire::SnapshotDone done;
  };

  void assign(Outbox& out);
  /// Starts the tables of the run, or goes on with them.
  void open_tables();
  void on_progress(const wire::Progress& progress);
  /// Not a number where targets are vectors.
  double accuracy(const wire::Sums& sums) const;
  void on_epoch_result(const wire::EpochResult& result);
  void on_tensor(const std::string& node, Message message);
  void on_snapshot_done(const std::string& node, const wire::SnapshotDone& done);
  void write_snapshot(std::map<std::string, Part> parts);
  double wall_seconds() const;

  const Experiment& experiment_;
  const RunPlan& plan_;
  Progress& progress_;
  std::vector<NodeSpec> nodes_;
  std::map<std::string, std::string> addresses_;
  std::set<std::string> prepared_, ready_;
  std::map<std::string, wire::Finished> finished_;
  wire::Ready data_;  // as the source has it

  std::optional<MetricsFile> metrics_;
  std::optional<ProbesFile> probes_;
  std::optional<RecordingFile> recording_;
  std::vector<MetricsRow> rows_;  // without a directory
  // Every node reports the same snapshots in the same order, but one may be ahead of another.
  std::map<std::string, std::vector<CheckpointTensor>> open_;  // of parts still coming in
  std::map<std::string, std::deque<Part>> parts_;              // complete, of layers and readout
  std::uint64_t snapshot_step_ = 0;
  std::string state_sha256_;

  std::optional<Clock::time_point> began_;
  Clock::time_point epoch_began_{}, last_step_{};
  wire::Sums epoch_sums_;
  double train_seconds_ = 0;  // this session
  std::uint64_t train_samples_ = 0;
  std::uint64_t epoch_samples_here_ = 0;
  std::uint64_t last_step_number_ = 0;
};

}  // namespace lateral
