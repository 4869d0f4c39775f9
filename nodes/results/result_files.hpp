// The observers of a run that write its tables and its recording.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nodes/experiment/experiment.hpp"
#include "nodes/results/metrics.hpp"
#include "nodes/results/recording_file.hpp"
#include "nodes/results/run_directory.hpp"
#include "nodes/results/run_observer.hpp"

namespace lateral {

/// Epochs and steps done by earlier sessions of the run, up to the checkpoint from which it is
/// resumed.
struct Progressed {
  std::uint64_t epochs = 0;
  std::uint64_t steps = 0;
};

/// Writes metrics.csv and probes.csv. Opens them when the run begins, so that a run that never
/// begins does not change those of an earlier session.
class TableWriter final : public RunObserver {
 public:
  /// All must outlive it.  `kept`: rows up to this position are preserved; none in a new run.
  TableWriter(const Experiment& experiment, const RunDirectory& directory, const Progressed& kept)
      : experiment_{experiment}, directory_{directory}, kept_{kept} {}
  void begun(const RunBegin&) override;
  void epoch_done(const MetricsRow& row) override { metrics_->append(row); }
  void probe(const ProbeRow& row) override { probes_->add(row); }
  void snapshot(std::uint64_t step) override { probes_->flush(step); }
  void end() override;

 private:
  const Experiment& experiment_;
  const RunDirectory& directory_;
  Progressed kept_;
  std::optional<MetricsFile> metrics_;
  std::optional<ProbesFile> probes_;
};

/// Writes recording.h5, which it opens when the run begins.
class RecordingWriter final : public RunObserver {
 public:
  /// Both must outlive it.  `steps_kept`: of an earlier session; none: the file is created.
  RecordingWriter(const Experiment& experiment, const RunDirectory& directory,
                  std::optional<std::uint64_t> steps_kept)
      : experiment_{experiment}, directory_{directory}, steps_kept_{steps_kept} {}
  void begun(const RunBegin& begin) override;
  void recorded(const std::string& layer, const Message& message) override {
    file_->append(layer, message);
  }

 private:
  const Experiment& experiment_;
  const RunDirectory& directory_;
  std::optional<std::uint64_t> steps_kept_;
  std::optional<RecordingFile> file_;
};

}  // namespace lateral
