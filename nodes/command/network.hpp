// Shared by the commands that run a network: their options, the run, and its exit code.
#pragma once

#include <string>
#include <vector>

#include "nodes/command/command.hpp"
#include "nodes/launch/launch.hpp"

namespace lateral {

/// The options of a command that runs a network.
struct NetworkOptions {
  std::string data;
  std::vector<std::string> plugins;
  bool in_process = false;
  std::string transport = "unix";
  std::string listen;
  bool plain_tcp = false;
  int threads = 0;
  bool force = false;
};
void add_network_options(CommandLine& line, NetworkOptions& options);

/// Throws UserError if this machine lacks what the run needs, unless --force is given. To be called
/// before anything is written.
///   is_training: nodes may be replaced
void check_machine(const Experiment& experiment, const NetworkOptions& options, bool is_training);

/// Fills in --data and --threads in the plan and runs its network. Prints a warning for options
/// that are not safe.  Throws UserError if the options contradict each other.
Outcome run_network(const Experiment& experiment, RunPlan& plan, const NetworkOptions& options,
                    Progress& progress);

/// Prints why a run ended if it failed or was stopped, and returns the exit code of the program.
///   advice: what to do about it, appended to the message
int exit_code_of(const Outcome& outcome, const std::string& advice = "");

/// Prints a line of the program to standard error.
void print_warning(const std::string& text);

}  // namespace lateral
