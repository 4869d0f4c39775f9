// A line of the log for each event.
#include "nodes/results/run_log.hpp"

#include <fmt/format.h>

namespace lateral {

void RunLog::begun(const RunBegin& begin) {
  evaluated_on_ = begin.evaluated_on;
  log_.info(
      fmt::format("all nodes are ready: {} training samples, {} {} samples, {} steps an epoch, "
                  "after step {}",
                  begin.train_samples, begin.evaluate_samples, begin.evaluated_on,
                  begin.steps_per_epoch, begin.first_step));
}

void RunLog::epoch_done(const MetricsRow& row) {
  log_.info(
      fmt::format("epoch {} done: train loss {:.6g} accuracy {}, {} loss {:.6g} accuracy {}, "
                  "{:.0f} samples/s",
                  row.epoch, row.train_loss, accuracy_text(row.train_accuracy), evaluated_on_,
                  row.test_loss, accuracy_text(row.test_accuracy), row.train_samples_per_second));
}

void RunLog::snapshot(std::uint64_t step) {
  log_.info(fmt::format("snapshot of step {} is complete", step));
}

void RunLog::replaced(const Restart& restart, std::optional<std::uint64_t> from_step) {
  log_.warning(fmt::format("node '{}' {}; it is replaced by its generation {}{}", restart.node,
                           restart.reason, restart.generation,
                           from_step ? fmt::format(" from step {}", *from_step) : ""));
}

}  // namespace lateral
