// One process for the source, one for each layer, one for the readout.
#include "nodes/process/make_process.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "nodes/base/failure.hpp"
#include "nodes/process/layer.hpp"
#include "nodes/process/readout.hpp"
#include "nodes/process/source.hpp"

namespace lateral {

std::unique_ptr<Process> make_process(const std::string& name, const Experiment& experiment,
                                      const wire::Assignment& assignment, const DataSet* data) {
  if (name == source_name) {
    const Position position{assignment.first_step(), assignment.first_epoch(),
                            assignment.evaluate_only(), assignment.after_snapshot(),
                            assignment.ended()};
    return std::make_unique<SourceProcess>(
        experiment,
        data != nullptr ? *data
                        : experiment.make_data_format()->load(assignment.data_directory(),
                                                              experiment.generated),
        position);
  }
  if (name == readout_name) return std::make_unique<ReadoutProcess>(experiment, assignment.train());
  for (std::size_t i = 0; i < experiment.layers.size(); ++i)
    if (experiment.layers[i].name == name) {
      const int threads = assignment.threads() > 0
                              ? static_cast<int>(assignment.threads())
                              : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
      return std::make_unique<LayerProcess>(experiment, i, threads);
    }
  throw UserError(fmt::format("node '{}' is not part of the experiment", name));
}

}  // namespace lateral
