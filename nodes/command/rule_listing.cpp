// The listing of rules, from what they declare.
#include "nodes/command/rule_listing.hpp"

#include <sstream>

#include "core/credit/credit.hpp"
#include "core/decorrelation/rule.hpp"
#include "core/preconditioner/preconditioner.hpp"
#include "nodes/base/failure.hpp"

namespace lateral {
namespace {

void describe(const RuleInfo& info, const std::string& name, const std::string& modes,
              const std::string& parameter_path, std::ostream& out) {
  out << "\n  " << name << (modes.empty() ? "" : "  (" + modes + ")") << "\n      " << info.summary
      << "\n";
  if (!info.source.empty()) out << "      source: " << info.source << "\n";
  for (const RuleParameter& parameter : info.parameters)
    out << "      " << parameter_path << parameter.name << " = " << parameter.value << "  ["
        << parameter.min << ", " << parameter.max << "]  " << parameter.meaning << "\n";
  out << "      a synapse reads  its own: " << info.locality.own
      << "\n                       of neighbours: " << info.locality.neighbours
      << "\n                       for all: " << info.locality.broadcast << "\n";
}

std::string modes_of(const DecorrelationRule& rule) {
  const DecorrelationModes modes = rule.modes();
  if (modes.closed_form && modes.settled) return "closed_form, settled";
  return modes.closed_form ? "closed_form" : "settled";
}

template <class Entry>
bool is_asked_for(const std::string& name, const Entry& entry) {
  return name.empty() || entry.name == name;
}

}  // namespace

std::string describe_rules(const std::string& name) {
  std::ostringstream decorrelation, credit, preconditioner;
  for (const auto& entry : decorrelation_table()) {
    if (!is_asked_for(name, entry)) continue;
    const std::unique_ptr<DecorrelationRule> rule = entry.make({});
    describe(rule->info(), std::string(entry.name), entry.name == "none" ? "" : modes_of(*rule),
             "decorrelation.parameter.", decorrelation);
  }
  for (const auto& entry : credit_table()) {
    if (!is_asked_for(name, entry)) continue;
    describe(entry.make({})->info(), std::string(entry.name), "", "learning.parameter.", credit);
  }
  for (const auto& entry : preconditioner_table()) {
    if (!is_asked_for(name, entry)) continue;
    describe(entry.make({}, 1, 1)->info(), std::string(entry.name), "",
             "learning.preconditioner_parameter.", preconditioner);
  }
  std::string text;
  for (const auto& [field, rules] :
       {std::pair{"decorrelation.rule (or layer.NAME.decorrelation):\n", decorrelation.str()},
        std::pair{"learning.credit:\n", credit.str()},
        std::pair{"learning.preconditioner:\n", preconditioner.str()}}) {
    if (rules.empty()) continue;
    if (!text.empty()) text += "\n";
    text += field + rules;
  }
  if (text.empty())
    throw UserError("no rule is called '" + name + "', expected one of " +
                    names_of(decorrelation_table()) + ", " + names_of(credit_table()) + ", " +
                    names_of(preconditioner_table()));
  return text;
}

}  // namespace lateral
