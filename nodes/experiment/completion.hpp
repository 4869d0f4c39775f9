// Completion of an experiment: defaults that depend on other fields or on rules.
#pragma once

#include <string>

#include "core/rule_info.hpp"
#include "nodes/data/dataset.hpp"
#include "nodes/experiment/settings.hpp"

namespace lateral {

/// Fills in `input` of layers that have none: the layer before, or the source for the first layer.
void complete_graph(Settings& settings);
/// Fills in the defaults of layers and loss that depend on the target: the units and the activation
/// of the last layer.
///   image: shape of a sample
void complete_output(Settings& settings, const ImageShape& image);
/// Fills in the defaults that the rules declare. Throws UserError for parameters that no rule has.
void complete_rules(Settings& settings);

/// The rule that decorrelates the input of this layer.
const std::string& decorrelation_rule_of(const proto::Experiment& settings,
                                         const proto::Layer& layer);
/// The parameters of a rule, by name.
RuleParameters to_parameters(
    const google::protobuf::RepeatedPtrField<proto::Parameter>& parameters);

}  // namespace lateral
