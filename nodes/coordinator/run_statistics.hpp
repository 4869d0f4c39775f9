// RunStatistics: the losses, times and replaced nodes of a run, and their summary.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nodes/coordinator/run_plan.hpp"
#include "nodes/experiment/topology.hpp"
#include "nodes/results/run_observer.hpp"
#include "nodes/results/summary.hpp"
#include "proto/wire.pb.h"

namespace lateral {

/// A training loss that has grown so much will not come back: the run has diverged.
inline constexpr double diverged_factor = 1e4;

/// Only times depend on the order in which messages of different nodes arrive.
class RunStatistics {
 public:
  /// Both must outlive it.
  RunStatistics(const Experiment& experiment, const RunPlan& plan);

  /// The network begins to run.  Throws UserError if the epochs of earlier sessions cannot be read.
  void begin();
  bool has_begun() const { return began_.has_value(); }
  TrainingProgress step(const wire::Progress& progress);
  MetricsRow epoch_done(const wire::EpochResult& result);
  /// Throws NumericsError if the mean training loss of the last epoch is not finite or above
  /// diverged_factor times the larger of 1 and the loss with which the run began.
  void check_divergence() const;
  /// Records that a lost node is replaced by this generation.
  const Restart& replaced(const std::string& node, std::uint32_t generation,
                          const std::string& reason);
  /// The readout has made a new report: so every replacement that has begun has caught up.
  void readout_advanced(const std::function<bool(const std::string& node)>& is_running);
  void finished(const std::string& node, const wire::Finished& finished) {
    finished_[node] = finished;
  }
  /// Time spent on the run, earlier sessions included.
  double wall_seconds() const;
  /// The mean loss of the first batch of the run; 0 before it.
  double first_loss() const { return first_loss_; }
  /// Some training step was done in this session.
  bool has_trained() const { return train_samples_ > 0; }
  /// Once all nodes have finished: all but the state.
  Summary summary(const std::vector<NodeSpec>& nodes, const NodeSummary& coordinator) const;

 private:
  using Clock = std::chrono::steady_clock;
  /// A replacement that has not caught up.
  struct CatchingUp {
    std::size_t restart;  // in restarts_
    Clock::time_point lost;
  };
  double accuracy(const wire::Sums& sums) const;

  const Experiment& experiment_;
  const RunPlan& plan_;
  std::optional<Clock::time_point> began_;
  std::vector<MetricsRow> epochs_;
  // The current epoch.
  Clock::time_point epoch_began_{}, last_step_time_{};
  wire::Sums epoch_sums_;
  double first_loss_ = 0;            // mean of the first batch of the run; 0: none yet
  std::uint64_t epoch_samples_ = 0;  // of this session
  std::uint64_t last_step_;
  // The finished epochs of this session.
  double train_seconds_ = 0;
  std::uint64_t train_samples_ = 0;

  std::vector<Restart> restarts_;
  std::map<std::string, CatchingUp> catching_up_;  // by node
  std::map<std::string, wire::Finished> finished_;
};

}  // namespace lateral
