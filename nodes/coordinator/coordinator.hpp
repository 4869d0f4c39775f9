// Coordinator: what one message means to the coordinator, who starts the network and collects its
// results.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nodes/experiment/topology.hpp"
#include "nodes/process/process.hpp"
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
  Disk* disk = &real_disk();              ///< that its checkpoints are written to
};

/// How much of a checkpoint of this network is read.
CheckpointLimits checkpoint_limits(const Experiment& experiment);

/// Decides; neither waits nor knows how nodes are reached. Messages of different nodes may come in
/// any order; nothing that is written depends on it but times.
///
/// A snapshot is a consistent cut: its marker runs through the stream, so what a node had sent to a
/// peer when it passed, the peer had taken up. Once all parts of one are on disk it is the line
/// from which a node that is lost begins again: alone, with the messages that its peers have kept
/// since, and saying again what it said, which everybody who has it drops.
class Coordinator {
 public:
  /// All must outlive it.  Throws UserError if a tensor is for a layer that the network lacks.
  ///   recoverable: nodes that are lost are replaced, see lost()
  Coordinator(const Experiment& experiment, const RunPlan& plan, Progress& progress,
              bool recoverable);

  /// `generation`: of the process that sent it. What one said that has been replaced is dropped;
  /// the one in its place says it again. Returns whether the message counts.
  bool handle(const std::string& node, std::uint32_t generation, Message message, Outbox& out);
  /// The node was lost for that reason: the generation of the process that is to take its place, or
  /// nothing if there is to be none.
  std::optional<std::uint32_t> replace(const std::string& node, const std::string& reason);
  /// What to add to that reason where there is none.
  std::string why_not_replaced(const std::string& node) const;
  /// Lets all nodes go.
  void dismiss(Outbox& out) const;
  /// Tells the source to end the run after the batch at hand, as soon as there is one that goes on
  /// from where its predecessor was. Where a source was told and is lost, only it knew where it
  /// stopped, and there is no other.
  void stop(Outbox& out);

  bool has_begun() const { return began_.has_value(); }
  /// Once all have finished: writes summary.json (with a directory) and returns what is in it.
  Summary conclude(const NodeSummary& coordinator);
  /// Writes what has been measured and not yet written (for a run that ends early).
  void flush();

 private:
  using Clock = std::chrono::steady_clock;
  /// How far a node has come.
  struct Member {
    std::string address;  // empty within one process
    std::uint32_t generation = 0;
    int restarts = 0;           // since the line
    std::uint64_t reports = 0;  // of its process, all generations
    std::uint64_t said = 0;     // the last that this generation made
    bool called = false, assigned = false, prepared = false, connected = false, ready = false,
         begun = false;
  };
  /// One node's part of a snapshot.
  struct Part {
    wire::SnapshotPart said;
    std::uint64_t reports = 0;  // up to and with it
    std::vector<CheckpointTensor> tensors;
    bool complete() const { return tensors.size() == said.tensors(); }
  };
  /// A snapshot on disk, from which nodes can begin again.
  struct Line {
    wire::Snapshot snapshot;
    std::map<std::string, wire::SnapshotPart> parts;
    std::map<std::string, std::uint64_t> reports;
  };
  /// A replacement that has not caught up.
  struct Catching {
    std::size_t restart;  // in restarts_
    std::string node;
    Clock::time_point lost;
  };

  void handle(const std::string& node, Message message, Outbox& out);
  std::vector<std::string> peers_of(const std::string& node) const;
  wire::Peer peer_as_seen_by(const std::string& node, const std::string& peer) const;
  bool all(bool Member::*flag) const;
  /// All who can be and have not been.
  void assign(Outbox& out);
  void assign(const std::string& node, Outbox& out);
  std::vector<CheckpointTensor> state_of(const std::string& node) const;
  void on_prepared(const std::string& node, Outbox& out);
  void on_ready(const std::string& node, const wire::Ready& ready, Outbox& out);
  void begin(Outbox& out);
  /// Not heard before: false for what a replacement says again.
  bool is_new(const std::string& node, std::uint64_t report);
  /// Starts the tables of the run, or goes on with them.
  void open_tables();
  void on_progress(const wire::Progress& progress);
  /// Not a number where targets are vectors.
  double accuracy(const wire::Sums& sums) const;
  void on_epoch_result(const wire::EpochResult& result);
  void on_snapshot_part(const std::string& node, const wire::SnapshotPart& part, Outbox& out);
  void on_tensor(const std::string& node, Message message, Outbox& out);
  void write_snapshot(std::map<std::string, Part> parts, Outbox& out);
  void write_snapshots(Outbox& out);
  static Line line_of(const std::map<std::string, Part>& parts);
  void check_cut(const Line& line) const;
  /// Makes the snapshot that was written last the line, once no node is still before it.
  void draw_line(Outbox& out);
  /// False if that failed and the run is to go on all the same.
  bool write(const std::function<void()>& writing);
  double wall_seconds() const;

  const Experiment& experiment_;
  const RunPlan& plan_;
  Progress& progress_;
  bool recoverable_;
  std::vector<NodeSpec> nodes_;
  std::vector<std::pair<std::string, std::string>> links_;
  std::map<std::string, Member> members_;
  // Where a node that is lost begins again; and the snapshot that has been written since, which a
  // replacement that has not caught up may still have before it: until it has, its peers must keep
  // what they sent since the line, or send it again from there if they are lost too.
  std::optional<Line> line_, next_line_;
  bool stop_wanted_ = false, stop_sent_ = false;
  std::vector<Restart> restarts_;
  std::vector<Catching> catching_up_;
  std::map<std::string, wire::Finished> finished_;
  wire::Ready data_;  // as the source has it

  std::optional<MetricsFile> metrics_;
  std::optional<ProbesFile> probes_;
  std::optional<RecordingFile> recording_;
  std::vector<MetricsRow> rows_;  // without a directory
  // Every node reports the same snapshots in the same order, but one may be ahead of another.
  std::map<std::string, std::deque<Part>> parts_;
  std::uint64_t snapshot_step_ = 0;
  std::optional<std::uint64_t> written_step_;  // of the checkpoint that was written last
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
