// RunPlan: where a run begins and where its results go.
#pragma once

#include <optional>
#include <string>

#include "nodes/base/log.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/results/checkpoint.hpp"
#include "nodes/results/data_record.hpp"
#include "nodes/results/run_directory.hpp"

namespace lateral {

struct RunPlan {
  std::string data_directory;
  std::optional<DataRecord> data;  ///< of the run that is resumed or evaluated
  bool accepts_other_data = false;
  Checkpoint start;      ///< tensors to start from, and the position of a resumed run
  bool resumed = false;  ///< false: only the tensors of `start` are used
  bool evaluate_only = false;
  int threads = 0;                        ///< of each layer; 0: one for each processor
  std::optional<RunDirectory> directory;  ///< nothing is written without one
  Disk* disk = &real_disk();              ///< to which checkpoints are written
  Log log;                                ///< of the coordinator

  /// Training steps and epochs that earlier sessions of the run have done.
  std::uint64_t first_step() const { return resumed ? start.step : 0; }
  std::uint64_t first_epoch() const { return resumed ? start.epoch : 0; }
};

/// Size limits for reading a checkpoint of this network.
CheckpointLimits checkpoint_limits(const Experiment& experiment);

}  // namespace lateral
