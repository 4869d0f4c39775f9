// Makes plans from an experiment.
#include "nodes/experiment/plan.hpp"

#include <algorithm>

#include "nodes/base/name.hpp"

namespace lateral {
namespace {

BatchPlan batch_plan(const Experiment& experiment) {
  return {experiment.batches.batch_size, experiment.micro_batches, experiment.steps_in_flight};
}

/// Position of a node in the order of the topology: the source is 0.
std::uint32_t number_of(const Topology& topology, const std::string& name) {
  const auto found = std::find_if(topology.nodes().begin(), topology.nodes().end(),
                                  [&](const NodeSpec& node) { return node.name == name; });
  return static_cast<std::uint32_t>(found - topology.nodes().begin());
}

}  // namespace

LayerPlan layer_plan(const Experiment& experiment, const std::string& name) {
  const LayerSpec& spec = experiment.layer(name);
  LayerPlan plan;
  plan.name = name;
  plan.kind = spec.kind;
  plan.params = spec.params;
  plan.units = spec.output.size();
  plan.seed = experiment.seed;
  plan.number = number_of(experiment.topology, name);
  plan.compute = experiment.compute;
  plan.predecessors = experiment.topology.into(name);
  plan.protocol = protocol_of(experiment, name);
  plan.batches = batch_plan(experiment);
  plan.error_leaves_first = experiment.error_leaves_first;
  plan.is_frozen = experiment.is_frozen;
  plan.stop_when_unsettled = experiment.stop_when_unsettled;
  plan.probe_interval = experiment.probe_interval;
  for (Record record : experiment.records) {
    std::erase_if(record.layers, [&](const Record::OfLayer& of) { return of.layer != name; });
    if (!record.layers.empty()) plan.records.push_back(std::move(record));
  }
  return plan;
}

SourcePlan source_plan(const Experiment& experiment) {
  SourcePlan plan;
  plan.protocol = protocol_of(experiment, source_name);
  plan.batches = batch_plan(experiment);
  plan.data = experiment.batches;
  plan.class_names = experiment.data_description.class_names;
  plan.target = experiment.target;
  plan.inputs = experiment.image.pixels();
  plan.outputs = experiment.outputs;
  plan.seed = experiment.seed;
  plan.epochs = experiment.epochs;
  plan.checkpoint_interval = experiment.checkpoint_interval;
  plan.demeans_by_batch = std::any_of(
      experiment.layers.begin(), experiment.layers.end(),
      [](const LayerSpec& spec) { return spec.params.decorrelator.demean == Demean::batch; });
  return plan;
}

ReadoutPlan readout_plan(const Experiment& experiment) {
  ReadoutPlan plan;
  plan.protocol = protocol_of(experiment, readout_name);
  plan.batches = batch_plan(experiment);
  plan.make_loss = experiment.make_loss;
  plan.target = experiment.target;
  plan.outputs = experiment.outputs;
  plan.seed = experiment.seed;
  plan.number = number_of(experiment.topology, readout_name);
  plan.weighs_rewards = experiment.sees_whole_change;
  for (const LayerSpec& spec : experiment.layers) plan.all_units += spec.output.size();
  return plan;
}

}  // namespace lateral
