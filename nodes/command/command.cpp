// Parsing the command line with CLI11; the only file that includes it.
#include "nodes/command/command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "nodes/base/failure.hpp"
#include "nodes/base/version.hpp"

namespace lateral {
namespace {

std::string refuse_empty(const std::string& text) { return text.empty() ? "is empty" : ""; }

}  // namespace

void CommandLine::describe(const std::string& text) { app_.description(text); }

void CommandLine::argument(const std::string& name, std::string& value, const std::string& help) {
  app_.add_option(name, value, help)->required();
}

void CommandLine::optional_argument(const std::string& name, std::string& value,
                                    const std::string& help) {
  app_.add_option(name, value, help);
}

void CommandLine::arguments(const std::string& name, std::vector<std::string>& values,
                            const std::string& help) {
  app_.add_option(name, values, help)->required();
}

void CommandLine::flag(const std::string& flag, bool& value, const std::string& help) {
  app_.add_flag(flag, value, help);
}

CLI::Option& CommandLine::add(const std::string& flag, const std::string& value_name,
                              std::string& value, const std::string& help) {
  return *app_.add_option(flag, value, help)->check(refuse_empty)->type_name(value_name);
}

void CommandLine::option(const std::string& flag, const std::string& value_name, std::string& value,
                         const std::string& help) {
  add(flag, value_name, value, help);
}

void CommandLine::required_option(const std::string& flag, const std::string& value_name,
                                  std::string& value, const std::string& help) {
  add(flag, value_name, value, help).required();
}

void CommandLine::repeatable_option(const std::string& flag, const std::string& value_name,
                                    std::vector<std::string>& values, const std::string& help) {
  app_.add_option(flag, values, help + " (repeatable)")
      ->check(refuse_empty)
      ->type_name(value_name)
      ->allow_extra_args(false);
}

void CommandLine::choice(const std::string& flag, std::string& value,
                         const std::vector<std::string>& choices, const std::string& help) {
  app_.add_option(flag, value, help)
      ->check(CLI::IsMember(choices))
      ->option_text(fmt::format("{}", fmt::join(choices, "|")));
}

void CommandLine::number(const std::string& flag, int& value, int min, int max,
                         const std::string& help) {
  app_.add_option(flag, value, help)->check(CLI::Range(min, max))->option_text("N");
}

void CommandLine::exclude(const std::string& flag, const std::string& other) {
  app_.get_option(flag)->excludes(app_.get_option(other));
}

int run_command_line(int argc, char** argv) {
  CLI::App app{"Simulates networks of layer processes with lateral dynamics and local learning."};
  app.name("lateral");
  app.set_version_flag("--version", fmt::format("lateral {}", version()));
  app.require_subcommand(1);

  std::vector<std::pair<const CLI::App*, RunCommand>> commands;
  for (const TableEntry<MakeCommand>& entry : command_table()) {
    CLI::App& command = *app.add_subcommand(std::string(entry.name));
    CommandLine line{command};
    commands.emplace_back(&command, entry.make(line));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool is_help = error.get_exit_code() == 0;  // or --version
    if (is_help) return app.exit(error);
    throw UserError(error.what());
  }
  int code = 0;
  for (const auto& [command, run] : commands)
    if (command->parsed()) code = run();
  if (code == 0 && (!std::cout.flush() || std::fflush(stdout) != 0))
    throw UserError("standard output cannot be written");
  return code;
}

}  // namespace lateral
