// Commands of the program: the options that a file of nodes/command/ declares, and what it runs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/table.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace lateral {

/// Declares the options of one command. Each call names a variable that receives the value; it must
/// exist until the command has run. Wraps CLI11, whose header takes seconds to compile.
class CommandLine {
 public:
  explicit CommandLine(CLI::App& app) : app_{app} {}

  /// The sentence that the help shows beside the name of the command.
  void describe(const std::string& text);

  // Values without a flag. `name` names them in the help.
  void argument(const std::string& name, std::string& value, const std::string& help);
  void optional_argument(const std::string& name, std::string& value, const std::string& help);
  /// One or more.
  void arguments(const std::string& name, std::vector<std::string>& values,
                 const std::string& help);

  // Flags such as "--out". `value_name` names the value in the help. An empty value is refused: it
  // usually comes from an unset variable of the shell.
  void flag(const std::string& flag, bool& value, const std::string& help);
  void option(const std::string& flag, const std::string& value_name, std::string& value,
              const std::string& help);
  void required_option(const std::string& flag, const std::string& value_name, std::string& value,
                       const std::string& help);
  /// May be given several times.
  void repeatable_option(const std::string& flag, const std::string& value_name,
                         std::vector<std::string>& values, const std::string& help);
  void choice(const std::string& flag, std::string& value, const std::vector<std::string>& choices,
              const std::string& help);
  void number(const std::string& flag, int& value, int min, int max, const std::string& help);
  /// Refuses a command line with both flags.
  void exclude(const std::string& flag, const std::string& other);

 private:
  CLI::Option& add(const std::string& flag, const std::string& value_name, std::string& value,
                   const std::string& help);
  CLI::App& app_;
};

/// Runs a command once its command line has been parsed, and returns the exit code of the program.
using RunCommand = std::function<int()>;
/// Declares the options of a command.
using MakeCommand = RunCommand(CommandLine& line);

/// Every file of nodes/command/ that is named in the program's help, by name.
std::span<const TableEntry<MakeCommand>> command_table();

/// Parses the command line of the program and runs its command. Returns the exit code.
/// Throws UserError for an invalid command line, or what the command throws.
int run_command_line(int argc, char** argv);

}  // namespace lateral
