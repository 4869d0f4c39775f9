// The program `lateral`: its commands, their options, and its exit code.
#include <google/protobuf/stubs/logging.h>
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <limits>

#include "nodes/experiment/experiment.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/launch/launch.hpp"
#include "nodes/runtime/node_program.hpp"
#include "nodes/experiment/topology.hpp"
#include "nodes/plot/plot.hpp"
#include "nodes/process/process.hpp"
#include "nodes/experiment/plugins.hpp"
#include "nodes/results/compare.hpp"
#include "nodes/command/rule_listing.hpp"
#include "nodes/sweep/run_sweep.hpp"
#include "nodes/base/version.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

struct RunOptions {
  std::string experiment;
  std::vector<std::string> sets;
  std::string data, out, init, resume;
  std::string transport = "unix";
  std::string listen;
  bool plain_tcp = false;
  bool in_process = false;
  int threads = 0;
  bool quiet = false;
};

Placement placement(const RunOptions& options) {
  if (options.in_process) return Placement::in_process;
  return options.transport == "tcp" ? Placement::tcp_sockets : Placement::unix_sockets;
}

/// Says so where something is not as safe as one may expect.
TcpParams tcp_params(const RunOptions& options) {
  if (options.listen.empty() && !options.plain_tcp) return {};
  if (options.transport != "tcp")
    throw UserError("--listen and --plain-tcp are for --transport tcp");
  if (options.plain_tcp && !options.listen.empty())
    std::cerr << "lateral: " << plain_tcp_warning << std::endl;
  return {options.listen.empty() ? TcpParams{}.host : options.listen, options.plain_tcp};
}

std::string data_directory(const RunOptions& options) {
  if (!options.data.empty()) return options.data;
  const char* folder = std::getenv("LATERAL_DATA");
  return folder == nullptr ? "" : folder;
}

void warn(const std::string& line) { std::cerr << "lateral: " << line << std::endl; }

/// The first line in which two effective configurations differ.
std::string first_difference(const std::string& ours, const std::string& theirs) {
  std::istringstream a{ours}, b{theirs};
  std::string line_a, line_b;
  while (std::getline(a, line_a) && std::getline(b, line_b))
    if (line_a != line_b && !line_a.starts_with("  epochs:"))
      return "'" + one_line(line_a) + "' instead of '" + one_line(line_b) + "'";
  return "one has more settings than the other";
}

/// The experiment to run and where it begins, from the options of `run`.
std::pair<Experiment, RunPlan> plan_run(const RunOptions& options) {
  RunPlan plan;
  plan.threads = options.threads;
  plan.data_directory = data_directory(options);
  if (!options.resume.empty()) {
    if (!options.out.empty() || !options.init.empty())
      throw UserError(
          "--resume goes on in its own folder from its own state, expected neither --out nor "
          "--init");
    plan.directory = RunDirectory::reopen(options.resume);
    const fs::path settings = plan.directory->experiment();
    Experiment experiment = load_experiment(
        options.experiment.empty() ? settings : fs::path(options.experiment), options.sets);
    plan.start = newest_checkpoint(*plan.directory, checkpoint_limits(experiment), warn, true);
    if (!differs_only_in_epochs(experiment.text, plan.start.experiment,
                                plan.directory->checkpoint().string()))
      throw UserError("--resume " + options.resume + ": this experiment is not that run's: " +
                      first_difference(experiment.text, plan.start.experiment) +
                      "; expected the same settings (learning.epochs may differ)");
    const std::uint64_t begun = plan.start.epoch + (plan.start.train.samples() > 0 ? 1 : 0);
    if (static_cast<std::uint64_t>(experiment.epochs) < begun)
      throw UserError("--resume " + options.resume + ": has begun epoch " + std::to_string(begun) +
                      " already, expected learning.epochs of at least as many, not " +
                      std::to_string(experiment.epochs));
    plan.resumed = true;
    return {std::move(experiment), std::move(plan)};
  }
  if (options.experiment.empty())
    throw UserError("run: no EXPERIMENT, expected a file such as sims/quickstart.textproto");
  Experiment experiment = load_experiment(options.experiment, options.sets);
  if (!options.init.empty())
    plan.start = read_checkpoint(options.init, checkpoint_limits(experiment));
  plan.directory = RunDirectory::create(
      options.out.empty() ? RunDirectory::default_path(experiment.name) : fs::path(options.out));
  return {std::move(experiment), std::move(plan)};
}

/// Prints why a run ended, and returns what the shell should hear. `advice`: what to do about it.
int conclude(const Outcome& outcome, const std::string& advice = "") {
  if (outcome.code != ExitCode::done) {
    std::cerr << "lateral: " << outcome.message << (outcome.code == ExitCode::network ? advice : "")
              << std::endl;
    return static_cast<int>(outcome.code);
  }
  if (outcome.signal != 0 && !outcome.summary)
    std::cerr << "lateral: stopped by signal " << outcome.signal
              << " before all nodes had handed over their state" << advice << std::endl;
  if (!std::cout.flush()) throw UserError("standard output cannot be written");
  // The shell's convention for a program that a signal ended.
  return outcome.signal != 0 ? 128 + outcome.signal : 0;
}

int run(const RunOptions& options) {
  const auto [experiment, plan] = plan_run(options);
  Progress progress{Progress::style_for_stderr(options.quiet),
                    static_cast<std::uint64_t>(experiment.epochs)};
  const std::string folder = plan.directory->path().string();
  progress.note("lateral " + version() + ": " + experiment.name + " in " + folder);
  const Outcome outcome =
      launch(experiment, plan, placement(options), tcp_params(options), progress);
  if (!outcome.began && !plan.resumed) plan.directory->discard();
  const std::string to_go_on = "; to go on: lateral run --resume " + folder;
  if (outcome.summary && !options.quiet) {
    if (!outcome.summary->complete)
      std::cout << "stopped after step " << outcome.summary->step << to_go_on << "\n\n";
    std::cout << to_table(*outcome.summary) << "\nstate_sha256 " << outcome.summary->state_sha256
              << "\nresults in " << folder << std::endl;
  }
  std::error_code failure;
  return conclude(outcome, fs::exists(plan.directory->checkpoint(), failure) ? to_go_on : "");
}

int evaluate(const RunOptions& options) {
  const RunDirectory directory = RunDirectory::open(options.resume);
  const Experiment experiment = load_experiment(directory.experiment(), {});
  RunPlan plan;
  plan.threads = options.threads;
  plan.data_directory = data_directory(options);
  plan.evaluate_only = true;
  plan.start = newest_checkpoint(directory, checkpoint_limits(experiment), warn);
  Progress progress{Progress::Style::quiet, 1};
  const Outcome outcome =
      launch(experiment, plan, placement(options), tcp_params(options), progress);
  if (outcome.summary && !outcome.summary->epochs.empty()) {
    const MetricsRow& row = outcome.summary->epochs.back();
    std::printf("%s loss %.6f  accuracy %s\n", outcome.summary->evaluated_on.c_str(), row.test_loss,
                accuracy_text(row.test_accuracy).c_str());
  }
  return conclude(outcome);
}

int check(const RunOptions& options) {
  const Experiment experiment = load_experiment(options.experiment, options.sets);
  const ImageShape& image = experiment.image;
  std::printf("%s: valid\n\n%-16s  %-8s  %-22s  %12s  %10s\n", experiment.name.c_str(), "node",
              "role", "shape", "parameters", "memory");
  // Images stay bytes until their batch is sent.
  const std::size_t samples = experiment.make_data_format()->samples(experiment.generated);
  std::printf("%-16s  %-8s  %-22s  %12s  %7.1f MB\n", source_name.c_str(), "source",
              (experiment.data_format + " " + std::to_string(image.channels) + "x" +
               std::to_string(image.height) + "x" + std::to_string(image.width))
                  .c_str(),
              "",
              (static_cast<double>(samples) * (image.pixels() + 1) +
               static_cast<double>(experiment.batch_bytes_max())) /
                  1e6);
  const std::uint64_t kept_steps =
      experiment.restarts_max == 0
          ? 0
          : std::min(experiment.checkpoint_interval > 0 ? experiment.checkpoint_interval
                                                        : std::numeric_limits<std::uint64_t>::max(),
                     train_steps_per_epoch_max(experiment));
  for (std::size_t i = 0; i < experiment.layers.size(); ++i) {
    const LayerSpec& spec = experiment.layers[i];
    std::uint64_t parameters = 0, state = 0;
    for (const auto& [name, values] : state_sizes(spec.params)) {
      state += values;
      if (name == "weight" || name == "bias" || name == "decorrelation/R" ||
          name == "decorrelation/M")
        parameters += values;
    }
    // Beside its state, and a copy to put back, a layer holds its gradient and, for a batch, what
    // it needs until it learns: about eight matrices a step in flight as wide as its input and
    // eight as wide as its output.
    const auto b = static_cast<std::uint64_t>(experiment.batches.batch_size);
    const auto inputs = static_cast<std::uint64_t>(spec.params.inputs);
    const auto units = static_cast<std::uint64_t>(spec.params.units);
    const auto steps = static_cast<std::uint64_t>(experiment.steps_in_flight);
    const std::uint64_t copy = spec.params.diverging == Diverging::stop ? 0 : state;
    // And what it has sent since the last checkpoint.
    const double kept = static_cast<double>(kept_steps) * experiment.bytes_sent(i);
    const std::uint64_t values = state + copy + inputs * units + 8 * steps * b * (inputs + units);
    std::printf("%-16s  %-8s  %-22s  %12llu  %7.1f MB\n", spec.name.c_str(), "layer",
                (std::to_string(inputs) + " -> " + std::to_string(units)).c_str(),
                static_cast<unsigned long long>(parameters),
                (static_cast<double>(values) * sizeof(float) + kept) / 1e6);
  }
  std::printf("%-16s  %-8s  %-22s  %12s  %7.1f MB\n", readout_name.c_str(), "readout",
              (std::to_string(experiment.outputs) + " values").c_str(), "",
              4.0 * static_cast<double>(experiment.outputs * experiment.batches.batch_size) *
                  sizeof(float) / 1e6);
  std::printf("\nand about 20 MB for the program in every process\n");
  if (!experiment.records.empty())
    std::printf("recording.h5 takes at most %.1f MB of disk\n",
                recording_bytes(experiment.records, static_cast<std::uint64_t>(experiment.epochs) *
                                                        train_steps_per_epoch_max(experiment)) /
                    1e6);
  return 0;
}

/// Parses the command line; each command sets the action to take.
int main_throwing(int argc, char** argv) {
  CLI::App app{"Simulates networks of layer processes with lateral dynamics and local learning."};
  app.name("lateral");
  app.set_version_flag("--version", "lateral " + version());
  app.require_subcommand(1);
  app.failure_message(
      [](const CLI::App*, const CLI::Error& error) { return one_line(error.what()); });
  RunOptions options;
  NodeCall call;
  // An unset variable of the shell is no path.
  const CLI::Validator not_empty{[](const std::string& text) {
                                   return text.empty() ? std::string("is empty")
                                                       : text.substr(0, 0);
                                 },
                                 ""};

  const auto with_data = [&](CLI::App* command) {
    command
        ->add_option("--data", options.data,
                     "Folder that holds mnist/, cifar-10-batches-bin/, … (default: $LATERAL_DATA)")
        ->check(not_empty);
  };
  const auto with_sets = [&](CLI::App* command) {
    command
        ->add_option(
            "--set", options.sets,
            "Set a field of the experiment: learning.epochs=2, layer.hidden1.units=64 (repeatable)")
        ->type_name("PATH=VALUE")
        ->allow_extra_args(false);
  };
  std::vector<std::string> plugins;
  const auto with_plugins = [&](CLI::App* command) {
    command
        ->add_option(
            "--plugin", plugins,
            "Shared library with rules of one's own, as if they were built in (repeatable)")
        ->check(not_empty)
        ->type_name("FILE")
        ->allow_extra_args(false);
  };
  const auto with_placement = [&](CLI::App* command) {
    CLI::Option* const in_process = command->add_flag(
        "--in-process", options.in_process, "All nodes in one process, for debuggers: same bits");
    command
        ->add_option("--transport", options.transport,
                     "Sockets between the nodes: unix (default) or tcp")
        ->check(CLI::IsMember({"unix", "tcp"}))
        ->option_text("unix|tcp")
        ->excludes(in_process);
    command
        ->add_option("--listen", options.listen,
                     "With --transport tcp: the address of this machine on which coordinator and "
                     "nodes listen (default: 127.0.0.1); beyond loopback they speak TLS")
        ->check(not_empty)
        ->type_name("HOST");
    command->add_flag("--plain-tcp", options.plain_tcp, "Without TLS, also beyond loopback");
    command
        ->add_option("--threads", options.threads,
                     "Threads that a layer computes with (default: the processors it may use); "
                     "same bits")
        ->check(CLI::Range(1, 1024))
        ->option_text("N");
  };

  CLI::App* run_command =
      app.add_subcommand("run", "Train a network of processes and write a run directory");
  run_command->add_option("EXPERIMENT", options.experiment,
                          "Experiment file; proto/experiment.proto documents it");
  with_data(run_command);
  run_command->add_option("--out", options.out, "Run directory (default: runs/NAME-TIMESTAMP)")
      ->check(not_empty);
  with_sets(run_command);
  with_plugins(run_command);
  run_command
      ->add_option("--init", options.init, "Start from the parameters in this checkpoint (HDF5)")
      ->check(not_empty);
  run_command->add_option("--resume", options.resume, "Go on where this run directory stopped")
      ->check(not_empty);
  with_placement(run_command);
  run_command->add_flag("--quiet", options.quiet, "Print nothing but errors");

  CLI::App* check_command =
      app.add_subcommand("check", "Validate an experiment and print its nodes and memory");
  check_command->add_option("EXPERIMENT", options.experiment, "Experiment file")->required();
  with_sets(check_command);
  with_plugins(check_command);

  CLI::App* evaluate_command =
      app.add_subcommand("evaluate", "Test the network of a run directory");
  evaluate_command->add_option("RUN_DIR", options.resume, "Run directory")->required();
  with_data(evaluate_command);
  with_plugins(evaluate_command);
  with_placement(evaluate_command);

  SweepOptions sweep;
  CLI::App* sweep_command = app.add_subcommand(
      "sweep", "Run every setting of a sweep file, several seeds each, and name the best");
  sweep_command->add_option("SWEEP", sweep.file, "Sweep file; proto/sweep.proto documents it");
  sweep_command->add_option("--resume", sweep.resume, "Go on with the sweep in this folder")
      ->check(not_empty);
  sweep_command->add_option("--out", sweep.out, "Folder (default: runs/NAME-TIMESTAMP)")
      ->check(not_empty);
  with_data(sweep_command);
  with_plugins(sweep_command);
  sweep_command
      ->add_option("--jobs", sweep.jobs, "Runs at a time (default: the processors it may use)")
      ->check(CLI::Range(1, 1024))
      ->option_text("N");
  sweep_command->add_flag("--quiet", sweep.quiet, "Print nothing but errors");

  std::vector<fs::path> plot_paths;
  fs::path plot_out;
  CLI::App* plot_command = app.add_subcommand(
      "plot", "Draw runs and sweeps: learning curves, probes, spectra (SVG and PNG)");
  plot_command->add_option("RUN_OR_SWEEP", plot_paths, "Folders of runs or sweeps")->required();
  plot_command->add_option("--out", plot_out, "Folder for the pictures (default: the first one's)")
      ->check(not_empty);

  with_plugins(plot_command);

  fs::path first_run, second_run;
  CLI::App* compare_command =
      app.add_subcommand("compare", "Say what differs between two runs: settings and results");
  compare_command->add_option("A", first_run, "Run directory")->required();
  compare_command->add_option("B", second_run, "Run directory")->required();

  std::string rule;
  CLI::App* rules_command = app.add_subcommand(
      "rules", "List every rule: source, parameters, and what a synapse must see");
  rules_command->add_option("NAME", rule, "Only this one");
  with_plugins(rules_command);

  CLI::App* node_command = app.add_subcommand("node",
                                              "One node process: what a launcher starts. It calls "
                                              "its coordinator, which tells it the rest");
  node_command->add_option("--name", call.name, "Name of the node")->required();
  node_command
      ->add_option("--generation", call.generation,
                   "How many of this name came before it in the run (default: 0)")
      ->option_text("N");
  node_command->add_option("--coordinator", call.coordinator, "unix:PATH or tcp:HOST:PORT")
      ->required();
  node_command
      ->add_option("--digest", call.digest_hex, "SHA-256 of the effective experiment, hexadecimal")
      ->required();
  node_command
      ->add_option("--secret", call.secret_file,
                   "File with the secret of the run, 64 hexadecimal digits")
      ->required();
  node_command
      ->add_option("--listen", call.listen, "Where its peers can dial: unix:PATH or tcp:HOST:PORT")
      ->required();
  node_command->add_flag("--plain-tcp", call.plain_tcp,
                         "No TLS, also beyond loopback; the same for all nodes of a run");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool is_answer = error.get_exit_code() == 0;  // --help, --version
    if (is_answer) return app.exit(error);
    throw UserError(error.what());
  }
  for (const std::string& file : plugins) load_plugin(file);
  if (run_command->parsed()) return run(options);
  if (check_command->parsed()) return check(options);
  if (evaluate_command->parsed()) return evaluate(options);
  if (sweep_command->parsed()) {
    if (sweep.file.empty() == sweep.resume.empty())
      throw UserError("sweep: expected a SWEEP file or --resume FOLDER");
    if (!sweep.resume.empty() && !sweep.out.empty())
      throw UserError("sweep --resume goes on in its own folder, expected no --out");
    if (!sweep.resume.empty() && !plugins.empty())
      throw UserError(
          "sweep --resume goes on with the plug-ins it began with, expected no --plugin");
    sweep.data = options.data;
    return run_sweep(sweep);
  }
  if (plot_command->parsed()) {
    for (const fs::path& file : plot(plot_paths, plot_out.empty() ? plot_paths[0] : plot_out))
      std::cout << file.string() << "\n";
    return 0;
  }
  if (compare_command->parsed()) {
    std::cout << compare_runs(first_run, second_run) << std::flush;
    return 0;
  }
  if (rules_command->parsed()) {
    std::cout << describe_rules(rule) << std::flush;
    return 0;
  }
  return static_cast<int>(run_node(call));
}

}  // namespace
}  // namespace lateral

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  google::protobuf::SetLogHandler(nullptr);  // what a stranger sends is told by us, in one line
  // Message bodies come and go at every step: keep their memory instead of asking the system anew.
  mallopt(M_MMAP_THRESHOLD, 256 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  mallopt(M_ARENA_MAX, 1);  // others give what is freed back to the system all the same
  try {
    return lateral::main_throwing(argc, argv);
  } catch (...) {
    const lateral::Failure failure = lateral::describe_failure(std::current_exception());
    std::cerr << "lateral: " << failure.message << std::endl;
    return static_cast<int>(failure.code);
  }
}
