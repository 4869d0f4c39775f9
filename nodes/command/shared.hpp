// What several commands share: options, and how the ones that run a network do it.
#pragma once

#include <string>
#include <vector>

#include "nodes/command/command.hpp"
#include "nodes/launch/launch.hpp"

namespace lateral {

/// --data DIR
void add_data_option(CommandLine& line, std::string& folder);
/// --set PATH=VALUE
void add_set_option(CommandLine& line, std::vector<std::string>& sets);
/// --plugin FILE
void add_plugin_option(CommandLine& line, std::vector<std::string>& files);

void load_plugins(const std::vector<std::string>& files);

/// The options of a command that runs a network.
struct NetworkOptions {
  std::string data;
  std::vector<std::string> plugins;
  bool in_process = false;
  std::string transport = "unix";
  std::string listen;
  bool plain_tcp = false;
  int threads = 0;
};
void add_network_options(CommandLine& line, NetworkOptions& options);

/// Runs the network of a plan, of which --data and --threads are filled in. Prints a warning where
/// the options are not safe.  Throws UserError if the options contradict each other.
Outcome run_network(const Experiment& experiment, RunPlan& plan, const NetworkOptions& options,
                    Progress& progress);

/// Prints why a run ended if it failed or was stopped, and returns the exit code of the program.
///   advice: what to do about it, appended to the message
int exit_code_of(const Outcome& outcome, const std::string& advice = "");

/// Prints a line of the program to standard error.
void print_warning(const std::string& text);

}  // namespace lateral
