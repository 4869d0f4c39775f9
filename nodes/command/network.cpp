// The options of a command line as a plan, and the result of its run as an exit code.
#include "nodes/command/network.hpp"

#include <fmt/format.h>

#include <iostream>
#include <thread>

#include "nodes/base/failure.hpp"
#include "nodes/command/options.hpp"
#include "nodes/launch/resources.hpp"
#include "nodes/runtime/node_program.hpp"

namespace lateral {
namespace {

Placement placement_of(const NetworkOptions& options) {
  if (options.in_process) return Placement::in_process;
  return options.transport == "tcp" ? Placement::tcp_sockets : Placement::unix_sockets;
}

TcpParams tcp_params(const NetworkOptions& options) {
  if (options.listen.empty() && !options.plain_tcp) return {};
  if (options.transport != "tcp")
    throw UserError("--listen and --plain-tcp are for --transport tcp");
  if (options.plain_tcp && !options.listen.empty()) print_warning(plain_tcp_warning);
  return {options.listen.empty() ? TcpParams{}.host : options.listen, options.plain_tcp};
}

}  // namespace

void add_network_options(CommandLine& line, NetworkOptions& options) {
  add_data_option(line, options.data);
  add_plugin_option(line, options.plugins);
  line.flag("--in-process", options.in_process,
            "All nodes in one process, for debuggers: same bits");
  line.choice("--transport", options.transport, {"unix", "tcp"},
              "Sockets between the nodes: unix (default) or tcp");
  line.exclude("--transport", "--in-process");
  line.option("--listen", "HOST", options.listen,
              "With --transport tcp: the address of this machine on which coordinator and nodes "
              "listen (default: 127.0.0.1); beyond loopback they use TLS");
  line.flag("--plain-tcp", options.plain_tcp, "Without TLS, also beyond loopback");
  line.number("--threads", options.threads, 1, 1024,
              "Threads that a layer computes with (default: the processors it may use); same bits");
  line.flag("--force", options.force,
            "Start also if this machine seems to lack the memory, processes or open files");
}

void check_machine(const Experiment& experiment, const NetworkOptions& options, bool is_training) {
  if (options.force) return;
  ResourceOptions needs;
  needs.memory.in_process = options.in_process;
  needs.memory.is_recoverable = is_training && !options.in_process && experiment.restarts_max > 0;
  needs.threads =
      options.threads > 0 ? options.threads : static_cast<int>(std::thread::hardware_concurrency());
  check_resources(experiment, needs);
}

Outcome run_network(const Experiment& experiment, RunPlan& plan, const NetworkOptions& options,
                    Progress& progress) {
  const DataFolders folders = data_folders(options.data);
  plan.data_directory = (folders.given.empty() ? folders.fallback : folders.given).string();
  plan.threads = options.threads;
  return launch(experiment, plan, placement_of(options), tcp_params(options), progress);
}

int exit_code_of(const Outcome& outcome, const std::string& advice) {
  if (outcome.code != ExitCode::done) {
    print_warning(outcome.code == ExitCode::network ? outcome.message + advice : outcome.message);
    return static_cast<int>(outcome.code);
  }
  if (outcome.signal == 0) return 0;
  if (!outcome.summary)
    print_warning(fmt::format("stopped by signal {} before all nodes had delivered their state{}",
                              outcome.signal, advice));
  return 128 + outcome.signal;  // the shell's convention for a program that a signal ended
}

void print_warning(const std::string& text) {
  std::cerr << "lateral: " << one_line(text) << std::endl;
}

}  // namespace lateral
