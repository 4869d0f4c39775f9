// lateral run: trains a network and writes a run directory.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <sstream>

#include "nodes/base/failure.hpp"
#include "nodes/base/version.hpp"
#include "nodes/command/network.hpp"
#include "nodes/command/options.hpp"
#include "nodes/results/machine_record.hpp"

namespace lateral::command {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string experiment, out, init, resume;
  std::vector<std::string> sets;
  NetworkOptions network;
  bool quiet = false, other_data = false, other_processor = false, freeze = false;
};

/// The first line in which two effective configurations differ.
std::string first_difference(const std::string& ours, const std::string& theirs) {
  std::istringstream a{ours}, b{theirs};
  std::string line_a, line_b;
  while (std::getline(a, line_a) && std::getline(b, line_b))
    if (line_a != line_b && !line_a.starts_with("  epochs:"))
      return fmt::format("'{}' instead of '{}'", one_line(line_a), one_line(line_b));
  return "one has more settings than the other";
}

/// Refuses to continue a run whose results would not be those of an uninterrupted one.
void check_processor(const RunDirectory& directory, const Experiment& experiment, bool is_allowed) {
  const std::optional<MachineRecord> begun_on = read_machine_record(directory.machine());
  const MachineRecord here = this_machine(experiment);
  if (is_allowed || !begun_on || !differ(*begun_on, here)) return;
  throw UserError(
      fmt::format("--resume {}: the run was begun on {}; this is {}, on which the bits may differ; "
                  "expected the "
                  "same, or --other-processor to continue here",
                  directory.path().string(), describe(*begun_on), describe(here)));
}

/// The experiment to continue, and the position at which it stopped.
std::pair<Experiment, RunPlan> plan_resumed_run(const Options& options) {
  if (!options.out.empty() || !options.init.empty())
    throw UserError(
        "--resume continues in its own folder from its own state, expected neither --out nor "
        "--init");
  RunPlan plan;
  plan.resumed = true;
  plan.directory = RunDirectory::reopen(options.resume);
  Experiment experiment = load_experiment(
      options.experiment.empty() ? plan.directory->experiment() : fs::path(options.experiment),
      options.sets, data_folders(options.network.data));
  check_machine(experiment, options.network, true);
  check_processor(*plan.directory, experiment, options.other_processor);
  plan.data = read_data_record(plan.directory->data());
  plan.accepts_other_data = options.other_data;
  plan.start =
      newest_checkpoint(*plan.directory, checkpoint_limits(experiment), print_warning, true);
  if (!differs_only_in_epochs(experiment.text, plan.start.experiment,
                              plan.directory->checkpoint().string()))
    throw UserError(fmt::format(
        "--resume {}: this experiment is not that run's: {}; expected the same settings "
        "(learning.epochs may differ)",
        options.resume, first_difference(experiment.text, plan.start.experiment)));
  const std::uint64_t begun = plan.start.epoch + (plan.start.train.samples() > 0 ? 1 : 0);
  if (static_cast<std::uint64_t>(experiment.epochs) < begun)
    throw UserError(fmt::format(
        "--resume {}: has begun epoch {} already, expected learning.epochs of at least as many, "
        "not {}",
        options.resume, begun, experiment.epochs));
  return {std::move(experiment), std::move(plan)};
}

/// The experiment to run from its beginning, and its new folder.
std::pair<Experiment, RunPlan> plan_new_run(const Options& options) {
  if (options.experiment.empty())
    throw UserError("run: no EXPERIMENT, expected a file such as sims/quickstart.textproto");
  RunPlan plan;
  Experiment experiment =
      load_experiment(options.experiment, options.sets, data_folders(options.network.data));
  check_machine(experiment, options.network, true);
  if (!options.init.empty())
    plan.start = read_checkpoint(options.init, checkpoint_limits(experiment));
  plan.directory = options.out.empty() ? RunDirectory::create_named(experiment.name)
                                       : RunDirectory::create(options.out);
  return {std::move(experiment), std::move(plan)};
}

int run_experiment(const Options& options) {
  load_plugins(options.network.plugins);
  auto [experiment, plan] =
      options.resume.empty() ? plan_new_run(options) : plan_resumed_run(options);
  Progress progress{Progress::style_for_stderr(options.quiet),
                    static_cast<std::uint64_t>(experiment.epochs)};
  const RunDirectory& directory = *plan.directory;
  const std::string folder = directory.path().string();
  progress.note(fmt::format("lateral {}: {} in {}", version(), experiment.name, folder));
  const Outcome outcome = run_network(experiment, plan, options.network, progress);
  if (!outcome.began && !plan.resumed) directory.discard();
  const std::string advice = fmt::format("; to continue: lateral run --resume {}", folder);
  if (outcome.summary && !options.quiet) {
    if (!outcome.summary->complete)
      std::cout << fmt::format("stopped after step {}{}\n\n", outcome.summary->step, advice);
    std::cout << fmt::format("{}\nstate_sha256 {}\nresults in {}\n", to_table(*outcome.summary),
                             outcome.summary->state_sha256, folder);
  }
  std::error_code failure;
  return exit_code_of(outcome, fs::exists(directory.checkpoint(), failure) ? advice : "");
}

}  // namespace

RunCommand run(CommandLine& line) {
  line.describe("Train a network of processes and write a run directory");
  const auto options = std::make_shared<Options>();
  line.optional_argument("EXPERIMENT", options->experiment,
                         "Experiment file; proto/experiment.proto documents it");
  line.option("--out", "DIR", options->out, "Run directory (default: runs/NAME-TIMESTAMP)");
  add_set_option(line, options->sets);
  line.option("--init", "CHECKPOINT", options->init,
              "Start from the parameters in this checkpoint (HDF5)");
  line.option("--resume", "RUN_DIR", options->resume, "Continue the run of this directory");
  line.flag("--other-data", options->other_data,
            "With --resume: also if the data are not those that the run was begun with");
  line.flag("--other-processor", options->other_processor,
            "With --resume: also on a processor on which the bits may differ");
  line.flag("--freeze", options->freeze,
            "Learn nothing: losses and probes of the state as it is (same as --set "
            "learning.freeze=true)");
  add_network_options(line, options->network);
  line.flag("--quiet", options->quiet, "Print nothing but errors");
  return [options] {
    if (options->freeze) options->sets.emplace_back("learning.freeze=true");
    return run_experiment(*options);
  };
}

}  // namespace lateral::command
