// Opens the files of a run when it begins, and writes their last rows at its end.
#include "nodes/results/result_files.hpp"

#include <limits>

namespace lateral {

void TableWriter::begun(const RunBegin&) {
  std::vector<std::string> layers;
  for (const LayerSpec& layer : experiment_.layers) layers.push_back(layer.name);
  metrics_.emplace(directory_.metrics(), kept_.epochs);
  probes_.emplace(directory_.probes(), kept_.steps, layers);
}

void TableWriter::end() {
  if (probes_) probes_->flush(std::numeric_limits<std::uint64_t>::max());
}

void RecordingWriter::begun(const RunBegin& begin) {
  file_.emplace(directory_.recording(), experiment_,
                static_cast<std::uint64_t>(experiment_.epochs) * begin.steps_per_epoch,
                steps_kept_);
}

}  // namespace lateral
