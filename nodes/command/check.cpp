// lateral check: validates an experiment and prints its nodes, their parameters and their memory.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <limits>
#include <memory>

#include "core/layer/memory.hpp"
#include "nodes/base/name.hpp"
#include "nodes/command/options.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/experiment/protocol.hpp"

namespace lateral::command {
namespace {

struct Options {
  std::string experiment;
  std::vector<std::string> sets, plugins;
  bool protocol = false;
};

void print_row(const std::string& node, const std::string& role, const std::string& shape,
               const std::string& parameters, double bytes) {
  std::cout << fmt::format("{:<16}  {:<8}  {:<22}  {:>12}  {:>7.1f} MB\n", node, role, shape,
                           parameters, bytes / 1e6);
}

/// Bytes of the source: samples are stored as bytes until their batch is sent.
double source_bytes(const Experiment& experiment) {
  const std::size_t samples = experiment.make_data_format()->samples(experiment.generated);
  return static_cast<double>(samples) * (experiment.image.pixels() + 1) +
         static_cast<double>(message_bytes_max(experiment, source_name));
}

/// Training steps whose messages a node retains for a peer that is replaced.
std::uint64_t retained_steps(const Experiment& experiment) {
  if (experiment.restarts_max == 0) return 0;
  const std::uint64_t interval = experiment.checkpoint_interval > 0
                                     ? experiment.checkpoint_interval
                                     : std::numeric_limits<std::uint64_t>::max();
  return std::min(interval, train_steps_per_epoch_max(experiment));
}

bool is_parameter(TensorRole role) {
  return role == TensorRole::weight || role == TensorRole::bias ||
         role == TensorRole::feedforward || role == TensorRole::lateral;
}

void print_layer(const Experiment& experiment, const LayerSpec& layer) {
  LayerSizes sizes{.inputs = layer.params.inputs(),
                   .outputs = layer.output.size(),
                   .batch = experiment.batches.batch_size,
                   .steps_in_flight = experiment.steps_in_flight,
                   .copies_state = layer.params.diverging != Diverging::stop};
  std::uint64_t parameters = 0;
  for (const TensorSpec& tensor : experiment.tensors(layer)) {
    const std::uint64_t values = values_of(tensor);
    sizes.state_values += values;
    if (is_parameter(tensor.role)) parameters += values;
    if (tensor.role == TensorRole::weight) sizes.weight_values += values;
  }
  const double retained_bytes =
      static_cast<double>(retained_steps(experiment)) * bytes_sent(experiment, layer.name);
  print_row(layer.name, "layer", fmt::format("{} -> {}", sizes.inputs, sizes.outputs),
            fmt::to_string(parameters),
            static_cast<double>(layer_memory_values(sizes)) * sizeof(Scalar) + retained_bytes);
}

int check_experiment(const Options& options) {
  load_plugins(options.plugins);
  const Experiment experiment = load_experiment(options.experiment, options.sets);
  if (options.protocol) {
    std::cout << protocol_table(experiment);
    return 0;
  }
  const ImageShape& image = experiment.image;
  std::cout << fmt::format("{}: valid\n\n{:<16}  {:<8}  {:<22}  {:>12}  {:>10}\n", experiment.name,
                           "node", "role", "shape", "parameters", "memory");
  print_row(
      source_name, "source",
      fmt::format("{} {}x{}x{}", experiment.data_format, image.channels, image.height, image.width),
      "", source_bytes(experiment));
  for (const LayerSpec& layer : experiment.layers) print_layer(experiment, layer);
  // The output, the targets, the error, and one message in flight.
  const auto output_values =
      static_cast<double>(experiment.outputs * experiment.batches.batch_size);
  print_row(readout_name, "readout", fmt::format("{} values", experiment.outputs), "",
            4 * output_values * sizeof(Scalar));
  std::cout << "\nand about 20 MB for the program in every process\n";
  if (!experiment.records.empty()) {
    const std::uint64_t steps =
        static_cast<std::uint64_t>(experiment.epochs) * train_steps_per_epoch_max(experiment);
    std::cout << fmt::format("recording.h5 takes at most {:.1f} MB of disk\n",
                             recording_bytes(experiment.records, steps) / 1e6);
  }
  return 0;
}

}  // namespace

RunCommand check(CommandLine& line) {
  line.describe("Validate an experiment and print its nodes and memory");
  const auto options = std::make_shared<Options>();
  line.argument("EXPERIMENT", options->experiment, "Experiment file");
  add_set_option(line, options->sets);
  add_plugin_option(line, options->plugins);
  line.flag("--protocol", options->protocol,
            "Print instead which messages each node reads and sends, in their order");
  return [options] { return check_experiment(*options); };
}

}  // namespace lateral::command
