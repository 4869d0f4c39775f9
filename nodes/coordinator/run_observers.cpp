// The list of observers: to add one is to add it to the constructor.
#include "nodes/coordinator/run_observers.hpp"

#include <fmt/format.h>

#include "nodes/results/result_files.hpp"
#include "nodes/results/run_log.hpp"

namespace lateral {

RunObservers::RunObservers(const Experiment& experiment, const RunPlan& plan, RunObserver& terminal)
    : stop_when_unwritable_{experiment.stop_when_unwritable} {
  if (plan.directory) {
    owned_.push_back(std::make_unique<TableWriter>(
        experiment, *plan.directory, Progressed{plan.first_epoch(), plan.first_step()}));
    if (!experiment.records.empty())
      owned_.push_back(std::make_unique<RecordingWriter>(
          experiment, *plan.directory,
          plan.resumed ? std::optional(plan.start.step) : std::nullopt));
  }
  owned_.push_back(std::make_unique<RunLog>(plan.log));
  for (const auto& observer : owned_) all_.push_back(observer.get());
  all_.push_back(&terminal);
}

void RunObservers::begun(const RunBegin& begin) {
  for (RunObserver* observer : all_) observer->begun(begin);
}

void RunObservers::note_unwritten(const UserError& failure) {
  for (RunObserver* observer : all_)
    observer->note(fmt::format("{}; the run continues without it", failure.what()));
}

}  // namespace lateral
