// lateral evaluate: test loss and accuracy of the network of a run directory.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "nodes/command/shared.hpp"

namespace lateral::command {
namespace {

struct Options {
  std::string directory;
  NetworkOptions network;
};

int evaluate_run(const Options& options) {
  load_plugins(options.network.plugins);
  const RunDirectory directory = RunDirectory::open(options.directory);
  const Experiment experiment = load_experiment(directory.experiment(), {});
  RunPlan plan;
  plan.evaluate_only = true;
  plan.start = newest_checkpoint(directory, checkpoint_limits(experiment), print_warning);
  Progress progress{Progress::Style::quiet, 1};
  const Outcome outcome = run_network(experiment, plan, options.network, progress);
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
  add_network_options(line, options->network);
  return [options] { return evaluate_run(*options); };
}

}  // namespace lateral::command
