// The tensors that a kind of layer declares are those that a layer of the kind shows: their names,
// roles, shapes and order.
#include "tests/core/one_step.hpp"
#include "tests/core/support.hpp"

using namespace lateral;
using namespace lateral::test;

namespace {

LayerParams params_for(Index inputs, Index units) {
  LayerParams params;
  params.input = {inputs, 1, 1};
  params.units = units;
  params.classes = 4;
  params.activation = find_entry(activation_table(), "identity");
  params.credit = find_entry(credit_table(), "feedback_alignment");
  params.preconditioner = find_entry(preconditioner_table(), "kfac");
  params.optimizer = find_entry(optimizer_table(), "adam");
  params.decorrelator.rule = find_entry(decorrelation_table(), "ahmad2024");
  params.decorrelator.integrator = find_entry(integrator_table(), "euler");
  params.decorrelator.batch = 5;
  return params;
}

void check_tensors(const LayerParams& params) {
  const std::vector<TensorSpec> declared = dense_kind().tensors(params);
  const std::unique_ptr<Layer> layer = dense_kind().make(params, 1, 1);
  const std::vector<TensorSpec> visited =
      visited_tensors([&](const TensorVisitor& visit) { layer->visit_state(visit); });
  INFO("declared: ", describe(declared));
  INFO("visited: ", describe(visited));
  CHECK((declared == visited));
}

/// Each decorrelation rule in each of its modes, with each kind of demeaning, warm start or not,
/// null directions frozen or not.
template <class Check>
void for_each_decorrelation(LayerParams params, Check&& check) {
  DecorrelatorParams& decorrelator = params.decorrelator;
  for (const auto& rule : decorrelation_table()) {
    decorrelator.rule = rule.make;
    const DecorrelationModes modes = rule.make({})->modes();
    for (const DecorrelationMode mode :
         {DecorrelationMode::closed_form, DecorrelationMode::settled}) {
      if (mode == DecorrelationMode::settled ? !modes.settled : !modes.closed_form) continue;
      decorrelator.rule_params.mode = mode;
      for (const Demean demean : {Demean::batch, Demean::running, Demean::none})
        for (const NullDirections null : {NullDirections::grow, NullDirections::freeze})
          for (const bool warm_start : {false, true}) {
            CAPTURE(rule.name);
            CAPTURE(static_cast<int>(mode));
            CAPTURE(static_cast<int>(demean));
            CAPTURE(static_cast<int>(null));
            CAPTURE(warm_start);
            decorrelator.demean = demean;
            decorrelator.null_directions = null;
            decorrelator.warm_start = warm_start;
            check(params);
          }
    }
  }
}

/// Each credit rule in a hidden layer and at the output, each preconditioner, each optimizer with
/// momentum and without.
template <class Check>
void for_each_learning(LayerParams params, Check&& check) {
  for (const auto& credit : credit_table())
    for (const bool is_output : {false, true})
      for (const auto& preconditioner : preconditioner_table())
        for (const auto& optimizer : optimizer_table())
          for (const double momentum : {0.0, 0.9}) {
            CAPTURE(credit.name);
            CAPTURE(is_output);
            CAPTURE(preconditioner.name);
            CAPTURE(optimizer.name);
            CAPTURE(momentum);
            params.credit = credit.make;
            params.is_output = is_output;
            params.preconditioner = preconditioner.make;
            params.optimizer = optimizer.make;
            params.optimizer_params.momentum = momentum;
            check(params);
          }
}

}  // namespace

TEST_CASE(
    "declared tensors: every decorrelation with every credit rule, preconditioner and "
    "optimizer" *
    doctest::test_suite("contract")) {
  for_each_decorrelation(params_for(3, 2), [](const LayerParams& decorrelated) {
    for_each_learning(decorrelated, check_tensors);
  });
}

TEST_CASE("declared tensors: a single input or unit" * doctest::test_suite("contract")) {
  for (const auto& [inputs, units] : {std::pair<Index, Index>{1, 2}, {3, 1}, {1, 1}}) {
    CAPTURE(inputs);
    CAPTURE(units);
    for_each_decorrelation(params_for(inputs, units), check_tensors);
    for_each_learning(params_for(inputs, units), check_tensors);
  }
}

TEST_CASE("declared tensors: every parameter of a rule at its least and at its largest" *
          doctest::test_suite("contract")) {
  LayerParams params = params_for(3, 2);
  for (const auto& entry : preconditioner_table())
    for (const RuleParameters& own : parameter_choices(entry.make({}, 1, 1)->info())) {
      CAPTURE(entry.name);
      params.preconditioner = entry.make;
      params.preconditioner_params.own = own;
      check_tensors(params);
    }
  params = params_for(3, 2);
  for (const auto& entry : credit_table())
    for (const RuleParameters& own : parameter_choices(entry.make({})->info())) {
      CAPTURE(entry.name);
      params.credit = entry.make;
      params.credit_parameters = own;
      check_tensors(params);
    }
  for_each_decorrelation(params_for(3, 2), [](LayerParams decorrelated) {
    const auto make = decorrelated.decorrelator.rule;
    for (const RuleParameters& own : parameter_choices(make({})->info())) {
      decorrelated.decorrelator.rule_params.own = own;
      check_tensors(decorrelated);
    }
  });
}
