// RuleInfo: the description of a rule, for listings and for checking its settings.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/check.hpp"

namespace lateral {

/// A number that only this rule reads.
struct RuleParameter {
  std::string name;
  double value;  ///< default
  double min, max;
  std::string meaning;
  bool is_whole = false;  ///< a whole number, of steps or yes and no
};

/// What a synapse reads to change itself.
struct Locality {
  std::string own;         ///< of its own two units and itself
  std::string neighbours;  ///< of other units, over lateral links
  std::string broadcast;   ///< one number for all units, or what else is needed ("all to all: …")
};

struct RuleInfo {
  std::string summary;  ///< one line
  std::string source;   ///< paper, and where we depart from it
  std::vector<RuleParameter> parameters;
  Locality locality;
};

/// A rule's parameters by name: what was set, else the default.
class RuleParameters {
 public:
  RuleParameters() = default;
  explicit RuleParameters(std::map<std::string, double> set) : set_(std::move(set)) {}
  double value(const RuleInfo& info, const std::string& name) const {
    if (const auto found = set_.find(name); found != set_.end()) return found->second;
    for (const RuleParameter& parameter : info.parameters)
      if (parameter.name == name) return parameter.value;
    LATERAL_CHECK(false && "a parameter that the rule declares");
    return 0;
  }
  const std::map<std::string, double>& set() const { return set_; }

 private:
  std::map<std::string, double> set_;
};

}  // namespace lateral
