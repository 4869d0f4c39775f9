// Progress: what a person sees of a run while it goes on.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "nodes/results/metrics.hpp"

namespace lateral {

/// On a terminal one line that is rewritten; elsewhere a plain line an epoch; quiet: nothing. To
/// stderr.
class Progress {
 public:
  enum class Style { bar, plain, quiet };
  /// bar on a terminal, plain elsewhere.
  static Style style_for_stderr(bool quiet);

  Progress(Style style, std::uint64_t epochs) : style_{style}, epochs_{epochs} {}
  void begin(std::uint64_t steps_per_epoch, std::uint64_t first_step);
  /// After a training step; mean loss and accuracy over the epoch's samples so far.
  void step(std::uint64_t step, std::uint64_t epoch, double loss, double accuracy,
            double samples_per_second);
  void epoch_done(const MetricsRow& row);
  /// So many nodes have been replaced so far.
  void replaced(std::size_t nodes) { replaced_ = nodes; }
  /// A line of its own between the others.
  void note(const std::string& line);
  /// Leaves the terminal clean.
  void end();

 private:
  using Clock = std::chrono::steady_clock;
  void clear();

  Style style_;
  std::uint64_t epochs_;
  std::uint64_t steps_per_epoch_ = 0;
  std::uint64_t first_step_ = 0;
  Clock::time_point began_{};
  Clock::time_point drawn_{};
  bool line_open_ = false;
  std::size_t replaced_ = 0;
};

}  // namespace lateral
