// Defaults of the graph and of the rules.
#include "nodes/experiment/completion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "core/credit/credit.hpp"
#include "core/decorrelation/rule.hpp"
#include "core/preconditioner/preconditioner.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/name.hpp"

namespace lateral {
namespace {

using Parameters = google::protobuf::RepeatedPtrField<proto::Parameter>;

/// Declarations of parameters by name: of every rule that has this parameter.
using DeclaredParameters = std::map<std::string, std::vector<const RuleParameter*>>;

/// The decorrelation rules that layers of this network use, by name.
std::map<std::string, std::unique_ptr<DecorrelationRule>> rules_of(
    const proto::Experiment& settings) {
  std::map<std::string, std::unique_ptr<DecorrelationRule>> rules;
  for (const proto::Layer& layer : settings.layer()) {
    const std::string& name = decorrelation_rule_of(settings, layer);
    if (name != "none" && !rules.contains(name))
      rules[name] = find_entry(decorrelation_table(), name)({});
  }
  return rules;
}

DeclaredParameters declared_by(const RuleInfo& rule) {
  DeclaredParameters declared;
  for (const RuleParameter& parameter : rule.parameters)
    declared[parameter.name].push_back(&parameter);
  return declared;
}

void check_parameter(const std::string& where, const std::string& path, double value,
                     const RuleParameter& declared) {
  const bool is_fraction = declared.is_whole && std::floor(value) != value;
  if (!is_fraction && value >= declared.min && value <= declared.max) return;
  throw UserError(fmt::format("{}: {} is {:g}, expected a {} from {:g} to {:g}", where, path, value,
                              is_fraction ? "whole number" : "value", declared.min, declared.max));
}

/// Refuses parameters that are unknown or out of some rule's range, and orders them; those that are
/// missing get their default where the rules agree on it.
void complete_parameters(const Settings& all, const std::string& path,
                         const DeclaredParameters& known, Parameters& parameters) {
  std::map<std::string, double> values;
  for (const proto::Parameter& parameter : parameters) {
    const std::string full = path + parameter.name();
    const std::string where = all.where_is(full);
    const auto declared = known.find(parameter.name());
    if (declared == known.end()) {
      std::string names;
      for (const auto& [name, rule] : known) names += (names.empty() ? "" : ", ") + name;
      throw UserError(fmt::format("{}: no rule of this network has a parameter '{}', expected {}",
                                  where, parameter.name(),
                                  names.empty() ? "none" : "one of " + names));
    }
    for (const RuleParameter* range : declared->second)
      check_parameter(where, full, parameter.value(), *range);
    if (!values.emplace(parameter.name(), parameter.value()).second)
      throw UserError(fmt::format("{}: {} is given twice, expected once", where, full));
  }
  for (const auto& [name, declared] : known) {
    const double first = declared.front()->value;
    if (std::all_of(declared.begin(), declared.end(),
                    [&](const RuleParameter* parameter) { return parameter->value == first; }))
      values.emplace(name, first);
  }
  parameters.Clear();
  for (const auto& [name, value] : values) {
    proto::Parameter& parameter = *parameters.Add();
    parameter.set_name(name);
    parameter.set_value(value);
  }
}

/// Refuses settings that a decorrelation rule does not support.
void check_rule(const Settings& all, const std::string& name, const DecorrelationRule& rule,
                bool others_chose_mode) {
  const proto::Decorrelation& decorrelation = all.values().decorrelation();
  const proto::Execution& execution = all.values().execution();
  const bool delayed =
      execution.schedule() == proto::Schedule::asynchronous && execution.staleness() > 0;
  if (rule.whitens_batch() && decorrelation.demean() != proto::Demean::batch)
    throw UserError(
        fmt::format("{}: rule {} whitens each batch by its own covariance, expected demean: batch",
                    all.where_is("decorrelation.demean"), name));
  if (delayed && (rule.reparametrises() || rule.whitens_batch()))
    throw UserError(fmt::format(
        "{}: rule {} {}; expected schedule: overlapped or lockstep",
        all.where_is("execution.schedule"), name,
        rule.reparametrises()
            ? "transforms the weights together with R, which is not possible with steps in flight"
            : "whitens each batch by its own covariance, which is not possible with steps in "
              "flight"));
  const bool settled = decorrelation.mode() == proto::Mode::settled;
  const char* chosen = settled ? "settled" : "closed_form";
  const char* other = settled ? "closed_form" : "settled";
  if (settled ? rule.modes().settled : rule.modes().closed_form) return;
  if (others_chose_mode)
    throw UserError(fmt::format(
        "{}: rule {} has only mode {} and another rule of this network only {}, expected rules "
        "with a mode in common",
        all.origin(), name, other, chosen));
  throw UserError(fmt::format("{}: decorrelation.mode is {} with rule {}, expected {}",
                              all.where_is("decorrelation.mode"), chosen, name, other));
}

}  // namespace

const std::string& decorrelation_rule_of(const proto::Experiment& settings,
                                         const proto::Layer& layer) {
  return layer.has_decorrelation() ? layer.decorrelation() : settings.decorrelation().rule();
}

RuleParameters to_parameters(const Parameters& parameters) {
  std::map<std::string, double> own;
  for (const proto::Parameter& parameter : parameters) own[parameter.name()] = parameter.value();
  return RuleParameters(std::move(own));
}

void complete_graph(Settings& all) {
  proto::Experiment& settings = all.values();
  for (int i = 0; i < settings.layer_size(); ++i)
    if (settings.layer(i).input_size() == 0)
      settings.mutable_layer(i)->add_input(i == 0 ? source_name : settings.layer(i - 1).name());
}

void complete_output(Settings& all, const ImageShape& image) {
  proto::Experiment& settings = all.values();
  const proto::Target::Kind target = settings.data().target();
  proto::Learning& learning = *settings.mutable_learning();
  if (!learning.has_loss())
    learning.set_loss(target == proto::Target::label ? "cross_entropy" : "squared_error");
  proto::Layer& last = *settings.mutable_layer()->rbegin();
  const bool is_linear = learning.loss() == "cross_entropy" || target == proto::Target::values;
  if (!last.has_activation() && is_linear) last.set_activation("identity");
  for (proto::Layer& layer : *settings.mutable_layer())
    if (!layer.has_activation()) layer.set_activation("leaky_relu");
  if (last.has_units() || target == proto::Target::teacher) return;
  last.set_units(static_cast<std::uint32_t>(target == proto::Target::label    ? image.classes
                                            : target == proto::Target::values ? image.target_values
                                                                              : image.pixels()));
}

void complete_rules(Settings& all) {
  proto::Experiment& settings = all.values();
  proto::Decorrelation& decorrelation = *settings.mutable_decorrelation();
  const auto rules = rules_of(settings);
  if (!decorrelation.has_demean())
    decorrelation.set_demean(rules.empty() ? proto::Demean::none : proto::Demean::batch);
  const bool settings_have_mode = decorrelation.has_mode();
  if (!settings_have_mode) {
    const bool lateral_only = std::any_of(rules.begin(), rules.end(), [](const auto& rule) {
      return !rule.second->modes().closed_form;
    });
    decorrelation.set_mode(lateral_only ? proto::Mode::settled : proto::Mode::closed_form);
  }
  DeclaredParameters known;
  for (const auto& [name, rule] : rules) {
    check_rule(all, name, *rule, rules.size() > 1 && !settings_have_mode);
    for (const RuleParameter& parameter : rule->info().parameters)
      known[parameter.name].push_back(&parameter);
  }
  complete_parameters(all, "decorrelation.parameter.", known, *decorrelation.mutable_parameter());
  proto::Learning& learning = *settings.mutable_learning();
  const auto credit = find_entry(credit_table(), learning.credit())({});
  complete_parameters(all, "learning.parameter.", declared_by(credit->info()),
                      *learning.mutable_parameter());
  const auto preconditioner =
      find_entry(preconditioner_table(), learning.preconditioner())({}, 1, 1);
  complete_parameters(all, "learning.preconditioner_parameter.",
                      declared_by(preconditioner->info()),
                      *learning.mutable_preconditioner_parameter());
}

}  // namespace lateral
