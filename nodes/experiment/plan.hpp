// Plans: the part of an experiment that one node needs.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "nodes/experiment/experiment.hpp"
#include "nodes/experiment/protocol.hpp"

namespace lateral {

/// The division of batches into messages: the same for all nodes of a network.
struct BatchPlan {
  int batch_size = 0;  ///< samples of a full batch
  int micro_batches = 1;
  Index steps_in_flight = 1;

  /// Samples of the micro-batch that begins at sample `first` of a batch of `batch` samples.
  Index micro_batch_at(Index first, Index batch) const {
    return std::min(micro_batch(batch, micro_batches), batch - first);
  }
};

struct LayerPlan {
  std::string name;
  GetLayerKind* kind = nullptr;
  LayerParams params;
  Index units = 0;  ///< values of its activity
  std::uint64_t seed = 0;
  std::uint32_t number = 0;  ///< of the node, in its random streams
  ComputeParams compute;
  std::vector<Connection> predecessors;  ///< in the order of reading
  Protocol protocol;
  BatchPlan batches;
  bool error_leaves_first = true;  ///< before the layer learns
  bool is_frozen = false;          ///< it does not learn
  bool stop_when_unsettled = true;
  std::uint64_t probe_interval = 0;
  std::vector<Record> records;  ///< of this layer

  /// Whether training step `step` (from 1) is probed: the first, and then every probe_interval.
  bool probes(std::uint64_t step) const {
    return probe_interval > 0 && (step - 1) % probe_interval == 0;
  }
};

struct SourcePlan {
  Protocol protocol;
  BatchPlan batches;
  BatchParams data;
  std::vector<std::string> class_names;  ///< of the data's description
  Target target = Target::label;
  Index inputs = 0, outputs = 0;  ///< values of a sample and of its target
  std::uint64_t seed = 0;
  int epochs = 1;
  std::uint64_t checkpoint_interval = 0;
  bool demeans_by_batch = false;  ///< in some layer: batches of one sample are refused
};

struct ReadoutPlan {
  Protocol protocol;
  BatchPlan batches;
  MakeLoss* make_loss = nullptr;
  Target target = Target::label;
  Index outputs = 0;
  std::uint64_t seed = 0;
  std::uint32_t number = 0;     ///< of the node, in its random streams
  bool weighs_rewards = false;  ///< by the squared change of all units
  Index all_units = 0;          ///< of all layers
};

LayerPlan layer_plan(const Experiment& experiment, const std::string& name);
SourcePlan source_plan(const Experiment& experiment);
ReadoutPlan readout_plan(const Experiment& experiment);

}  // namespace lateral
