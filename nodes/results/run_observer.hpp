// RunObserver: the events of a run, for classes that show or write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "nodes/results/metrics.hpp"
#include "nodes/results/summary.hpp"
#include "transport/message.hpp"

namespace lateral {

/// The sizes that are known when all nodes are ready and the network begins to run.
struct RunBegin {
  std::uint64_t train_samples = 0;
  std::uint64_t evaluate_samples = 0;
  std::uint64_t steps_per_epoch = 0;
  std::uint64_t first_step = 0;       ///< training steps done by earlier sessions of the run
  std::string evaluated_on = "test";  ///< or "validation"
};

/// The state of an epoch after one more training step; loss and accuracy are means over the samples
/// of the epoch so far.
struct TrainingProgress {
  std::uint64_t step = 0;
  std::uint64_t epoch = 0;
  double loss = 0;
  double accuracy = 0;  ///< not a number where targets are vectors
  double samples_per_second = 0;
};

/// Each event does nothing unless an observer overrides it. An observer that cannot write throws
/// UserError; the experiment's recording.unwritable decides whether that ends the run. Called on
/// one thread at a time. Reports that the replacement of a lost node repeats cause no event.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  virtual void begun(const RunBegin&) {}
  virtual void step(const TrainingProgress&) {}
  virtual void epoch_done(const MetricsRow&) {}
  virtual void probe(const ProbeRow&) {}
  /// One row of a record of this layer: a message with the content wire::Recorded.
  virtual void recorded(const std::string& /*layer*/, const Message&) {}
  /// The state of the whole network after this training step is about to be written to disk.
  virtual void snapshot(std::uint64_t /*step*/) {}
  /// A lost node is being replaced; its replacement begins after training step `from_step`, or
  /// where this session of the run began.
  virtual void replaced(const Restart&, std::optional<std::uint64_t> /*from_step*/) {}
  /// One line for the user.
  virtual void note(const std::string&) {}
  /// No event follows.
  virtual void end() {}
};

}  // namespace lateral
