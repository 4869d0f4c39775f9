// Completion of an experiment: defaults that depend on other fields or on rules.
#pragma once

#include <string>

#include "core/rule_info.hpp"
#include "nodes/experiment/settings.hpp"

namespace lateral {

/// Inputs of layers that name none: the layer before; the source for the first.
void complete_graph(Settings& settings);
/// Fills in what the rules' own declarations say; throws UserError for what none of them knows.
void complete_rules(Settings& settings);

/// The rule that decorrelates the input of this layer.
const std::string& decorrelation_rule_of(const proto::Experiment& settings,
                                         const proto::Layer& layer);
/// A rule's own numbers, by name.
RuleParameters to_parameters(
    const google::protobuf::RepeatedPtrField<proto::Parameter>& parameters);

}  // namespace lateral
