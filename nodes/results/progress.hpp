// Progress: shows the progress of a run on the terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "nodes/results/run_observer.hpp"

namespace lateral {

/// A line of at most `columns` columns: a bar between ASCII texts if there is room for one, cut at
/// its end if there is not even room for the texts.
std::string progress_line(const std::string& head, double share, const std::string& numbers,
                          int columns);
/// Whether standard error is a terminal on which a line can be drawn again.
bool can_redraw_lines();
/// Columns of the terminal at standard error; 80 if they are not known.
int terminal_columns();

/// Writes to standard error: on a terminal one line that is redrawn, otherwise one line for each
/// epoch; nothing if quiet.
class Progress final : public RunObserver {
 public:
  enum class Style { bar, plain, quiet };
  /// `bar` where lines can be redrawn, otherwise `plain`.
  static Style style_for_stderr(bool quiet);

  Progress(Style style, std::uint64_t epochs) : style_{style}, epochs_{epochs} {}
  void begun(const RunBegin& begin) override;
  void step(const TrainingProgress& report) override;
  void epoch_done(const MetricsRow& row) override;
  void replaced(const Restart& restart, std::optional<std::uint64_t> from_step) override;
  void note(const std::string& line) override;
  /// Removes the progress line from the terminal.
  void end() override;

 private:
  using Clock = std::chrono::steady_clock;

  Style style_;
  std::uint64_t epochs_;
  RunBegin begin_;
  Clock::time_point began_{};
  Clock::time_point drawn_{};
  bool line_is_drawn_ = false;
  int nodes_replaced_ = 0;
};

}  // namespace lateral
