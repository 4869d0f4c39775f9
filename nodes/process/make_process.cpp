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
namespace {

DataSet load_data(const Experiment& experiment, const wire::Assignment& assignment) {
  DataParams params = experiment.data;
  params.root = assignment.data_directory();
  DataSet data = experiment.make_data_format()->load(params);
  const ImageShape& recorded = experiment.data_description.shape;
  if (data.shape.channels != recorded.channels || data.shape.height != recorded.height ||
      data.shape.width != recorded.width || data.shape.target_values != recorded.target_values)
    throw UserError(fmt::format(
        "data: samples of {}x{}x{} with targets of {} values, expected {}x{}x{} and {} as when the "
        "experiment was begun",
        data.shape.channels, data.shape.height, data.shape.width, data.shape.target_values,
        recorded.channels, recorded.height, recorded.width, recorded.target_values));
  const wire::Normalization& normalization = assignment.normalization();
  const auto values = static_cast<int>(data.shape.pixels());
  const int n = normalization.mean_size();
  if (n == 0 || !data.mean.empty()) return data;
  if ((n != data.shape.channels && n != values) || normalization.standard_deviation_size() != n)
    throw UserError(fmt::format("data: {} constants of normalisation, expected {} or {}", n,
                                data.shape.channels, values));
  data.mean = {normalization.mean().begin(), normalization.mean().end()};
  data.standard_deviation = {normalization.standard_deviation().begin(),
                             normalization.standard_deviation().end()};
  return data;
}

}  // namespace

std::unique_ptr<Process> make_process(const std::string& name, const Experiment& experiment,
                                      const wire::Assignment& assignment, const DataSet* data) {
  if (name == source_name) {
    const Position position{assignment.first_step(), assignment.first_epoch(),
                            assignment.evaluate_only(), assignment.after_snapshot(),
                            assignment.ended()};
    DataSet own = data != nullptr ? DataSet(*data) : load_data(experiment, assignment);
    return std::make_unique<SourceProcess>(source_plan(experiment), std::move(own), position);
  }
  if (name == readout_name)
    return std::make_unique<ReadoutProcess>(readout_plan(experiment), assignment.train());
  const std::vector<std::string>& layers = experiment.topology.layers();
  if (std::find(layers.begin(), layers.end(), name) != layers.end()) {
    const int threads = assignment.threads() > 0
                            ? static_cast<int>(assignment.threads())
                            : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    return std::make_unique<LayerProcess>(layer_plan(experiment, name), threads);
  }
  throw UserError(fmt::format("node '{}' is not part of the experiment", name));
}

}  // namespace lateral
