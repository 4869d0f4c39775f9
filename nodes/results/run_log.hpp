// RunLog: the story of a run in the coordinator's log.
#pragma once

#include "nodes/base/log.hpp"
#include "nodes/results/run_observer.hpp"

namespace lateral {

/// Writes when the network begins, each epoch, each snapshot, each node that is replaced, and the
/// end.
class RunLog final : public RunObserver {
 public:
  explicit RunLog(Log log) : log_{std::move(log)} {}
  void begun(const RunBegin& begin) override;
  void epoch_done(const MetricsRow& row) override;
  void snapshot(std::uint64_t step) override;
  void replaced(const Restart& restart, std::optional<std::uint64_t> from_step) override;
  void note(const std::string& line) override { log_.info(line); }
  void end() override { log_.info("the results are complete"); }

 private:
  Log log_;
  std::string evaluated_on_;
};

}  // namespace lateral
