// RunObservers: the list of all that observe a run, and what happens when one of them cannot write.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nodes/base/failure.hpp"
#include "nodes/coordinator/run_plan.hpp"
#include "nodes/results/run_observer.hpp"

namespace lateral {

class RunObservers {
 public:
  /// All must outlive it.  `terminal` is notified last, so that an event is shown after it has been
  /// written.
  RunObservers(const Experiment& experiment, const RunPlan& plan, RunObserver& terminal);

  /// Throws UserError if an observer cannot open what it writes to.
  void begun(const RunBegin& begin);
  /// Reports one event to all: notify(&RunObserver::probe, row).  Throws UserError if one of them
  /// cannot write and the run is to stop then.
  template <class... Parameters, class... Arguments>
  void notify(void (RunObserver::*event)(Parameters...), const Arguments&... arguments) {
    for (RunObserver* observer : all_) attempt([&] { (observer->*event)(arguments...); });
  }
  /// False if `write` threw UserError and the run continues nevertheless (recording.unwritable).
  template <class Write>
  bool attempt(Write write) {
    try {
      write();
      return true;
    } catch (const UserError& failure) {
      if (stop_when_unwritable_) throw;
      note_unwritten(failure);
      return false;
    }
  }

 private:
  void note_unwritten(const UserError& failure);

  bool stop_when_unwritable_;
  std::vector<std::unique_ptr<RunObserver>> owned_;
  std::vector<RunObserver*> all_;
};

}  // namespace lateral
