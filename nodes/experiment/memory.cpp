// The sizes of state, data, batches and messages of every node.
#include "nodes/experiment/memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/layer/memory.hpp"
#include "nodes/base/name.hpp"
#include "nodes/data/sample_order.hpp"
#include "nodes/experiment/protocol.hpp"

namespace lateral {
namespace {

// Resident memory of a process before it has an experiment, libraries included; a layer's has the
// library of matrix products as well. Measured of networks of a few units.
constexpr double program_bytes = 19e6, layer_program_bytes = 27.5e6,
                 coordinator_program_bytes = 29e6;

/// Training steps whose messages a node keeps for a peer that is replaced.
std::uint64_t kept_steps(const Experiment& experiment) {
  if (experiment.restarts_max == 0) return 0;
  const std::uint64_t steps = train_steps_per_epoch_max(experiment);
  return experiment.checkpoint_interval > 0 ? std::min(experiment.checkpoint_interval, steps)
                                            : steps;
}

/// Bytes of the activities that a layer sends in a step, one for each reader.
double activity_bytes(const Experiment& experiment, const std::string& layer) {
  double rows = 0;
  for (const Exchange& exchange : protocol_of(experiment, layer).evaluation)
    for (const Transfer& sent : exchange.sends) rows += static_cast<double>(sent.rows);
  return rows * static_cast<double>(experiment.batches.batch_size) * sizeof(float);
}

/// Bytes that a node keeps for its readers until a checkpoint comes: of training steps, and of the
/// evaluation before the checkpoint at the end of an epoch.
double kept_bytes(const Experiment& experiment, const std::string& layer) {
  const auto batch = static_cast<std::size_t>(experiment.batches.batch_size);
  std::size_t samples = experiment.data_description.test_samples;
  if (experiment.batches.test_limit > 0)
    samples = std::min(samples, static_cast<std::size_t>(experiment.batches.test_limit));
  if (experiment.batches.validation_samples > 0)
    samples = static_cast<std::size_t>(experiment.batches.validation_samples);
  const double evaluation_steps =
      std::ceil(static_cast<double>(samples) / static_cast<double>(batch));
  return static_cast<double>(kept_steps(experiment)) * bytes_sent(experiment, layer) +
         evaluation_steps * activity_bytes(experiment, layer);
}

double state_values(const Experiment& experiment, const LayerSpec& layer) {
  double values = 0;
  for (const TensorSpec& tensor : experiment.tensors(layer))
    values += static_cast<double>(values_of(tensor));
  return values;
}

NodeMemory layer_memory(const Experiment& experiment, const LayerSpec& layer,
                        const MemoryOptions& options) {
  LayerSizes sizes{.inputs = layer.params.inputs(),
                   .outputs = layer.output.size(),
                   .batch = experiment.batches.batch_size,
                   .steps_in_flight = experiment.steps_in_flight,
                   .copies_state = layer.params.diverging != Diverging::stop};
  for (const TensorSpec& tensor : experiment.tensors(layer)) {
    const std::uint64_t values = values_of(tensor);
    sizes.state_values += values;
    if (tensor.role == TensorRole::weight) sizes.weight_values += values;
  }
  NodeMemory memory{.node = layer.name};
  const auto bytes = [](std::uint64_t values) {
    return static_cast<double>(values * sizeof(Scalar));
  };
  const std::uint64_t all = layer_memory_values(sizes);
  sizes.batch = 0;
  const std::uint64_t without_batches = layer_memory_values(sizes);
  memory.state = bytes(without_batches);
  memory.batches = bytes(all - without_batches);
  if (options.is_recoverable) memory.messages = kept_bytes(experiment, layer.name);
  return memory;
}

NodeMemory source_memory(const Experiment& experiment) {
  const DataDescription& data = experiment.data_description;
  const auto values = static_cast<double>(data.shape.pixels());
  const auto value_bytes = static_cast<double>(data.value_bytes);
  double held = static_cast<double>(data.train_samples + data.test_samples);
  double windows = 0;
  if (const std::size_t buffer = experiment.data.files.buffer_samples;
      buffer > 0 && experiment.make_data_format()->uses("buffer_samples")) {
    windows = 2 * 2 * static_cast<double>(window_samples(buffer));  // two of each part
    windows = std::min(windows, held) * values * sizeof(float);
  } else {
    windows = held * values * value_bytes;
  }
  NodeMemory memory{.node = source_name};
  // Besides its values: a label or the values of a target, its row, and its place in two orders.
  constexpr double bytes_of_positions = 4 * sizeof(std::uint32_t);
  const double target_bytes = static_cast<double>(data.shape.target_values) * sizeof(float);
  memory.samples = windows + held * (bytes_of_positions + target_bytes);
  constexpr double batches_held = 4;  // made, queued, sent, and kept by the link
  memory.batches = batches_held * static_cast<double>(message_bytes_max(experiment, source_name));
  return memory;
}

NodeMemory readout_memory(const Experiment& experiment) {
  // The output, the targets, the error, and one message in flight.
  constexpr double matrices = 4;
  NodeMemory memory{.node = readout_name};
  memory.batches = matrices * sizeof(Scalar) *
                   static_cast<double>(experiment.outputs * experiment.batches.batch_size);
  return memory;
}

}  // namespace

std::vector<NodeMemory> memory_of(const Experiment& experiment, const MemoryOptions& options) {
  std::vector<NodeMemory> nodes{source_memory(experiment)};
  NodeMemory coordinator{.node = coordinator_name};
  for (const LayerSpec& layer : experiment.layers) {
    nodes.push_back(layer_memory(experiment, layer, options));
    coordinator.state += state_values(experiment, layer) * sizeof(Scalar);
  }
  nodes.push_back(readout_memory(experiment));
  nodes.push_back(coordinator);
  for (NodeMemory& node : nodes) {
    const bool is_layer =
        node.node != source_name && node.node != readout_name && node.node != coordinator_name;
    if (node.node == coordinator_name)
      node.program = coordinator_program_bytes;
    else if (!options.in_process)
      node.program = is_layer ? layer_program_bytes : program_bytes;
  }
  return nodes;
}

double total_bytes(const std::vector<NodeMemory>& memory) {
  return std::accumulate(memory.begin(), memory.end(), 0.0,
                         [](double sum, const NodeMemory& node) { return sum + node.total(); });
}

std::string bytes_text(double bytes) {
  return bytes >= 1e9 ? fmt::format("{:.2f} GB", bytes / 1e9)
                      : fmt::format("{:.1f} MB", bytes / 1e6);
}

}  // namespace lateral
