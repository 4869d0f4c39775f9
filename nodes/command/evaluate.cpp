// lateral evaluate: test loss and accuracy of the network of a run directory.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>

#include "nodes/command/network.hpp"
#include "nodes/command/options.hpp"
#include "nodes/results/machine_record.hpp"

namespace lateral::command {
namespace {

struct Options {
  std::string directory, init;
  NetworkOptions network;
};

/// Puts tensors of `edited` into the place of those of the same name, and adds others.
void replace_tensors(Checkpoint& checkpoint, Checkpoint edited) {
  for (CheckpointTensor& tensor : edited.tensors) {
    const auto found = std::find_if(
        checkpoint.tensors.begin(), checkpoint.tensors.end(), [&](const CheckpointTensor& other) {
          return other.layer == tensor.layer && other.name == tensor.name;
        });
    if (found == checkpoint.tensors.end())
      checkpoint.tensors.push_back(std::move(tensor));
    else
      *found = std::move(tensor);
  }
}

int evaluate_run(const Options& options) {
  load_plugins(options.network.plugins);
  const RunDirectory directory = RunDirectory::open(options.directory);
  const Experiment experiment =
      load_experiment(directory.experiment(), {}, data_folders(options.network.data));
  check_machine(experiment, options.network, false);
  const std::optional<MachineRecord> trained_on = read_machine_record(directory.machine());
  if (const MachineRecord here = this_machine(experiment); trained_on && differ(*trained_on, here))
    print_warning(fmt::format("{}: trained on {}; this is {}, on which the bits may differ",
                              directory.path().string(), describe(*trained_on), describe(here)));
  RunPlan plan;
  plan.evaluate_only = true;
  plan.data = read_data_record(directory.data());
  plan.start = newest_checkpoint(directory, checkpoint_limits(experiment), print_warning);
  if (!options.init.empty())
    replace_tensors(plan.start, read_checkpoint(options.init, checkpoint_limits(experiment)));
  Progress progress{Progress::Style::quiet, 1};
  const Outcome outcome = run_network(experiment, plan, options.network, progress);
  if (outcome.summary && plan.data && outcome.summary->data_sha256 != plan.data->sha256)
    print_warning(
        fmt::format("{}: evaluated on other data than the run's: their SHA-256 is {}, the "
                    "run's {}",
                    directory.path().string(), outcome.summary->data_sha256, plan.data->sha256));
  if (outcome.summary && !outcome.summary->epochs.empty()) {
    const MetricsRow& row = outcome.summary->epochs.back();
    std::cout << fmt::format("{} loss {:.6f}  accuracy {}\n", outcome.summary->evaluated_on,
                             row.test_loss, accuracy_text(row.test_accuracy));
  }
  return exit_code_of(outcome);
}

}  // namespace

RunCommand evaluate(CommandLine& line) {
  line.describe("Test the network of a run directory");
  const auto options = std::make_shared<Options>();
  line.argument("RUN_DIR", options->directory, "Run directory");
  line.option("--init", "CHECKPOINT", options->init,
              "Evaluate with the tensors of this file (HDF5) in the place of the run's");
  add_network_options(line, options->network);
  return [options] { return evaluate_run(*options); };
}

}  // namespace lateral::command
