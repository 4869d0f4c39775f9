// lateral check: validates an experiment and prints its nodes, their parameters and their memory.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "nodes/base/name.hpp"
#include "nodes/command/options.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/experiment/memory.hpp"
#include "nodes/experiment/protocol.hpp"

namespace lateral::command {
namespace {

struct Options {
  std::string experiment, data;
  std::vector<std::string> sets, plugins;
  bool protocol = false;
};

void print_row(const std::string& node, const std::string& role, const std::string& shape,
               const std::string& parameters, double bytes) {
  std::cout << fmt::format("{:<16}  {:<11}  {:<22}  {:>12}  {:>10}\n", node, role, shape,
                           parameters, bytes_text(bytes));
}

bool is_parameter(TensorRole role) {
  return role == TensorRole::weight || role == TensorRole::bias ||
         role == TensorRole::feedforward || role == TensorRole::lateral;
}

std::uint64_t parameters_of(const Experiment& experiment, const LayerSpec& layer) {
  std::uint64_t parameters = 0;
  for (const TensorSpec& tensor : experiment.tensors(layer))
    if (is_parameter(tensor.role)) parameters += values_of(tensor);
  return parameters;
}

void print_nodes(const Experiment& experiment) {
  std::cout << fmt::format("{:<16}  {:<11}  {:<22}  {:>12}  {:>10}\n", "node", "role", "shape",
                           "parameters", "memory");
  const ImageShape& image = experiment.image;
  const std::vector<NodeMemory> memory = memory_of(experiment, {});
  auto next = memory.begin();
  print_row(
      source_name, "source",
      fmt::format("{} {}x{}x{}", experiment.data_format, image.channels, image.height, image.width),
      "", (next++)->total());
  for (const LayerSpec& layer : experiment.layers)
    print_row(layer.name, "layer",
              fmt::format("{} -> {}", layer.params.inputs(), layer.output.size()),
              fmt::to_string(parameters_of(experiment, layer)), (next++)->total());
  print_row(readout_name, "readout", fmt::format("{} values", experiment.outputs), "",
            (next++)->total());
  print_row(coordinator_name, "coordinator", "", "", next->total());
  std::cout << fmt::format("\n{} of memory in all\n", bytes_text(total_bytes(memory)));
}

int check_experiment(const Options& options) {
  load_plugins(options.plugins);
  const Experiment experiment =
      load_experiment(options.experiment, options.sets, data_folders(options.data));
  if (options.protocol) {
    std::cout << protocol_table(experiment);
    return 0;
  }
  std::cout << fmt::format("{}: valid\n\n", experiment.name);
  print_nodes(experiment);
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
  add_data_option(line, options->data);
  add_set_option(line, options->sets);
  add_plugin_option(line, options->plugins);
  line.flag("--protocol", options->protocol,
            "Print instead which messages each node reads and sends, in their order");
  return [options] { return check_experiment(*options); };
}

}  // namespace lateral::command
