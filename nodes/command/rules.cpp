// lateral rules: every rule with its source, its parameters, and what a synapse reads; the names in
// all other tables.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "core/activation/activation.hpp"
#include "core/compute/product.hpp"
#include "core/credit/credit.hpp"
#include "core/decorrelation/rule.hpp"
#include "core/dynamics/integrator.hpp"
#include "core/layer/layer.hpp"
#include "core/loss/loss.hpp"
#include "core/optimizer/optimizer.hpp"
#include "core/preconditioner/preconditioner.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/command/options.hpp"
#include "nodes/data/dataset.hpp"

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

/// The names of a table without descriptions, below a heading; or nothing if `name` is not in it.
template <class Make>
std::string list_table(std::span<const TableEntry<Make>> table, std::string_view name,
                       std::string_view heading) {
  if (!name.empty() && find_entry(table, name) == nullptr) return "";
  return fmt::format("{}:\n\n  {}\n", heading, name.empty() ? names_of(table) : std::string(name));
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
  append(list_table(activation_table(), name, "layer.NAME.activation"));
  append(list_table(loss_table(), name, "learning.loss"));
  append(list_table(optimizer_table(), name, "learning.optimizer"));
  append(list_table(integrator_table(), name, "decorrelation.integrator"));
  append(list_table(product_table(), name, "execution.product"));
  append(list_table(data_format_table(), name, "data.format"));
  if (text.empty()) {
    const std::string names = fmt::format(
        "{}, {}, {}, {}, {}, {}, {}, {}, {}, {}", names_of(decorrelation_table()),
        names_of(credit_table()), names_of(preconditioner_table()), names_of(layer_kind_table()),
        names_of(activation_table()), names_of(loss_table()), names_of(optimizer_table()),
        names_of(integrator_table()), names_of(product_table()), names_of(data_format_table()));
    throw UserError(fmt::format("nothing is called '{}', expected one of {}", name, names));
  }
  return text;
}

}  // namespace

RunCommand rules(CommandLine& line) {
  struct Options {
    std::string name;
    std::vector<std::string> plugins;
  };
  line.describe(
      "List every rule (source, parameters, what a synapse reads), kind of layer, activation, "
      "loss, optimizer, integrator, library of products and data format");
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
