// Parsing the command line with CLI11; the only file that includes it.
#include "nodes/command/command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <numeric>
#include <utility>

#include "nodes/base/failure.hpp"
#include "nodes/base/version.hpp"

namespace lateral {
namespace {

std::string refuse_empty(const std::string& text) { return text.empty() ? "is empty" : ""; }

/// Insertions, deletions and replacements of a letter that make `b` of `a`.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t k = 0; k < b.size(); ++k) {
      const std::size_t replaced = diagonal + (a[i] == b[k] ? 0 : 1);
      diagonal = row[k + 1];
      row[k + 1] = std::min({replaced, row[k] + 1, diagonal + 1});
    }
  }
  return row.back();
}

/// "; did you mean 'NAME'?" for the first word that is neither a command nor a flag, but nearly.
std::string suggestion(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* command = nullptr;
  std::vector<std::string> names;
  for (const CLI::App* each : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(each->get_name());
    if (!words.empty() && words[0] == each->get_name()) command = each;
  }
  const auto nearest = [&](const std::string& word) -> std::string {
    const auto best =
        std::min_element(names.begin(), names.end(), [&](const auto& a, const auto& b) {
          return edit_distance(word, a) < edit_distance(word, b);
        });
    const std::size_t distance = best == names.end() ? 0 : edit_distance(word, *best);
    if (distance == 0 || distance > std::max<std::size_t>(1, word.size() / 3)) return "";
    return fmt::format("; did you mean '{}'?", *best);
  };
  if (command == nullptr) return words.empty() ? "" : nearest(words[0]);
  names.clear();
  for (const CLI::Option* option : command->get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  for (const std::string& word : words) {
    if (!word.starts_with("--")) continue;
    const std::string flag = word.substr(0, word.find('='));
    if (std::find(names.begin(), names.end(), flag) != names.end()) continue;
    if (const std::string text = nearest(flag); !text.empty()) return text;
  }
  return "";
}

void check_output() {
  if (!std::cout.flush() || std::fflush(stdout) != 0)
    throw UserError("standard output cannot be written");
}

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
    if (is_help) {
      app.exit(error);
      check_output();
      return 0;
    }
    throw UserError(error.what() + suggestion(app, {argv + 1, argv + argc}));
  }
  int code = 0;
  for (const auto& [command, run] : commands)
    if (command->parsed()) code = run();
  if (code == 0) check_output();
  return code;
}

}  // namespace lateral
