// lateral rules: every rule with its source, its parameters, and what a synapse reads; kinds of
// layers.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "core/credit/credit.hpp"
#include "core/decorrelation/rule.hpp"
#include "core/layer/layer.hpp"
#include "core/preconditioner/preconditioner.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/command/options.hpp"

namespace lateral::command {
namespace {

std::string describe(const RuleInfo& info, std::string_view name, std::string_view modes,
                     std::string_view parameter_path) {
  std::string text = fmt::format("\n  {}{}\n      {}\n", name,
                                 modes.empty() ? "" : fmt::format("  ({})", modes), info.summary);
  if (!info.source.empty()) text += fmt::format("      source: {}\n", info.source);
  for (const RuleParameter& parameter : info.parameters)
    text += fmt::format("      {}{} = {:g}  [{:g}, {:g}]  {}\n", parameter_path, parameter.name,
                        parameter.value, parameter.min, parameter.max, parameter.meaning);
  text += fmt::format(
      "      a synapse reads  its own: {}\n"
      "                       of neighbours: {}\n"
      "                       for all: {}\n",
      info.locality.own, info.locality.neighbours, info.locality.broadcast);
  return text;
}

std::string_view modes_of(const DecorrelationRule& rule) {
  const DecorrelationModes modes = rule.modes();
  if (modes.closed_form && modes.settled) return "closed_form, settled";
  return modes.closed_form ? "closed_form" : "settled";
}

/// The descriptions of a table's entries, or of the one that is called `name`, below a heading; or
/// nothing if there is none.
template <class Make, class Describe>
std::string describe_table(std::span<const TableEntry<Make>> table, std::string_view name,
                           std::string_view heading, Describe describe_entry) {
  std::string text;
  for (const TableEntry<Make>& entry : table)
    if (name.empty() || entry.name == name) text += describe_entry(entry);
  return text.empty() ? "" : fmt::format("{}:\n{}", heading, text);
}

/// All rules, or the ones that are called `name`.  Throws UserError if none is.
std::string describe_rules(const std::string& name) {
  std::string text;
  const auto append = [&](const std::string& section) {
    if (!text.empty() && !section.empty()) text += "\n";
    text += section;
  };
  append(describe_table(decorrelation_table(), name,
                        "decorrelation.rule (or layer.NAME.decorrelation)", [](const auto& entry) {
                          const std::unique_ptr<DecorrelationRule> rule = entry.make({});
                          return describe(rule->info(), entry.name,
                                          entry.name == "none" ? "" : modes_of(*rule),
                                          "decorrelation.parameter.");
                        }));
  append(describe_table(credit_table(), name, "learning.credit", [](const auto& entry) {
    return describe(entry.make({})->info(), entry.name, "", "learning.parameter.");
  }));
  append(describe_table(preconditioner_table(), name, "learning.preconditioner",
                        [](const auto& entry) {
                          return describe(entry.make({}, 1, 1)->info(), entry.name, "",
                                          "learning.preconditioner_parameter.");
                        }));
  append(describe_table(layer_kind_table(), name, "layer.NAME.kind", [](const auto& entry) {
    return fmt::format("\n  {}\n      {}\n", entry.name, entry.make().summary());
  }));
  if (text.empty())
    throw UserError(fmt::format("no rule is called '{}', expected one of {}, {}, {}, {}", name,
                                names_of(decorrelation_table()), names_of(credit_table()),
                                names_of(preconditioner_table()), names_of(layer_kind_table())));
  return text;
}

}  // namespace

RunCommand rules(CommandLine& line) {
  struct Options {
    std::string name;
    std::vector<std::string> plugins;
  };
  line.describe(
      "List every rule (source, parameters, what a synapse reads) and every kind of layer");
  const auto options = std::make_shared<Options>();
  line.optional_argument("NAME", options->name, "Only this one");
  add_plugin_option(line, options->plugins);
  return [options] {
    load_plugins(options->plugins);
    std::cout << describe_rules(options->name);
    return 0;
  };
}

}  // namespace lateral::command
