// One error message for each mistake.
#include "nodes/experiment/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/compute/product.hpp"
#include "core/credit/credit.hpp"
#include "core/dynamics/integrator.hpp"
#include "core/loss/loss.hpp"
#include "core/preconditioner/preconditioner.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/name.hpp"
#include "nodes/experiment/completion.hpp"
#include "nodes/experiment/experiment.hpp"

namespace lateral {
namespace {

template <class... Arguments>
[[noreturn]] void refuse(const std::string& where, fmt::format_string<Arguments...> text,
                         Arguments&&... arguments) {
  throw UserError(
      fmt::format("{}: {}", where, fmt::format(text, std::forward<Arguments>(arguments)...)));
}

/// Checks the names in `input` or `add` of a layer: each must be the name of a node before it.
void check_readers(const Settings& all, int layer, const char* field,
                   const google::protobuf::RepeatedPtrField<std::string>& names,
                   const std::set<std::string>& before) {
  const proto::Experiment& settings = all.values();
  const std::string& reader = settings.layer(layer).name();
  const std::string where = all.where_is_layer(layer, field);
  std::set<std::string> given;
  for (const std::string& name : names) {
    if (!given.insert(name).second)
      refuse(where, "layer '{}' has {} '{}' twice, expected each name once", reader, field, name);
    if (before.contains(name)) continue;
    if (name == reader) refuse(where, "layer '{}' has itself as {}", reader, field);
    const bool is_later =
        std::any_of(settings.layer().begin() + layer, settings.layer().end(),
                    [&](const proto::Layer& later) { return later.name() == name; });
    if (is_later)
      refuse(where, "layer '{}' has {} '{}', which is a later layer; expected a layer before it",
             reader, field, name);
    refuse(where, "layer '{}' has {} '{}', expected {} or the name of a layer before it", reader,
           field, name, source_name);
  }
}

}  // namespace

void check_names(const Settings& all, const ImageShape& image) {
  const proto::Experiment& settings = all.values();
  if (!is_name(settings.name()))
    refuse(all.origin(), "name is '{}', expected letters, digits, '_' and '-'", settings.name());
  if (settings.layer_size() == 0)
    refuse(all.origin(), "no layer, expected at least one: layer {{ name: \"output\" units: {} }}",
           image.classes);
  if (static_cast<std::size_t>(settings.layer_size()) > layers_max)
    refuse(all.origin(), "{} layers, expected at most {}", settings.layer_size(), layers_max);
  std::set<std::string> names{source_name, readout_name, coordinator_name};
  for (int i = 0; i < settings.layer_size(); ++i) {
    const proto::Layer& layer = settings.layer(i);
    const std::string where = all.where_is_layer(i);
    if (!is_name(layer.name()))
      refuse(where, "a layer is called '{}', expected a name of letters, digits, '_' and '-'",
             layer.name());
    if (!names.insert(layer.name()).second)
      refuse(where, "the layer name '{}' is taken, expected one of its own", layer.name());
  }
}

void check_graph(const Settings& all) {
  const proto::Experiment& settings = all.values();
  std::set<std::string> before{source_name};  // the nodes before
  std::set<std::string> read;
  for (int i = 0; i < settings.layer_size(); ++i) {
    const proto::Layer& layer = settings.layer(i);
    check_readers(all, i, "input", layer.input(), before);
    check_readers(all, i, "add", layer.add(), before);
    read.insert(layer.input().begin(), layer.input().end());
    read.insert(layer.add().begin(), layer.add().end());
    before.insert(layer.name());
  }
  for (int i = 0; i + 1 < settings.layer_size(); ++i)
    if (!read.contains(settings.layer(i).name()))
      refuse(all.where_is_layer(i),
             "no layer reads '{}', expected it as input or add of a layer after it",
             settings.layer(i).name());
}

void check_shapes(const Settings& all, const Experiment& experiment) {
  const auto units_of = [&](const std::string& node) {
    return node == source_name ? Index{experiment.image.pixels()}
                               : experiment.layer(node).output.size();
  };
  for (int i = 0; i < all.values().layer_size(); ++i) {
    const proto::Layer& layer = all.values().layer(i);
    for (const std::string& added : layer.add())
      if (units_of(added) != units_of(layer.name()))
        refuse(all.where_is_layer(i, "add"),
               "layer '{}' of {} units adds '{}' of {}, expected the same number", layer.name(),
               units_of(layer.name()), added, units_of(added));
  }
  if (experiment.target == Target::teacher) return;
  const ImageShape& image = experiment.image;
  const bool is_label = experiment.target == Target::label;
  const bool is_input = experiment.target == Target::input;
  const Index values = is_label   ? image.classes
                       : is_input ? Index{image.pixels()}
                                  : Index{image.target_values};
  if (experiment.outputs != values)
    refuse(all.where_is_layer(all.values().layer_size() - 1, "units"),
           "the last layer '{}' has {} units, expected {}, the {} of {}",
           experiment.layers.back().name, experiment.outputs, values,
           is_label   ? "classes"
           : is_input ? "inputs"
                      : "values of a target",
           experiment.data_format);
}

void check_network(const Settings& all, const ImageShape& image) {
  const proto::Experiment& settings = all.values();
  const proto::Target::Kind target = settings.data().target();
  const std::string& loss = settings.learning().loss();
  if (target != proto::Target::label && !find_entry(loss_table(), loss)()->takes_vectors())
    refuse(all.where_is("learning.loss"),
           "learning.loss is {}, which compares with a label; expected squared_error with "
           "data.target {}",
           loss, proto::Target::Kind_Name(target));
  const proto::Execution& execution = settings.execution();
  if (execution.precision() == proto::Precision::bf16 &&
      !find_entry(product_table(), execution.product())()->multiplies_bf16())
    refuse(all.where_is("execution.precision"),
           "execution.precision is bf16, which {} cannot do on this processor; expected float32, "
           "or execution.product: eigen",
           execution.product());
  const proto::Data& data = settings.data();
  if (image.height == 1 && (data.crop_padding() > 0 || data.horizontal_flip()))
    refuse(all.where_is(data.crop_padding() > 0 ? "data.crop_padding" : "data.horizontal_flip"),
           "data.crop_padding and data.horizontal_flip are for images, and {} has none; expected "
           "neither",
           data.format());
  const proto::Decorrelation& decorrelation = settings.decorrelation();
  const bool by_batch = decorrelation.demean() == proto::Demean::batch;
  if (by_batch && settings.learning().batch_size() == 1)
    refuse(all.origin(),
           "decorrelation.demean is batch with learning.batch_size 1: the mean of one sample is "
           "the sample; expected demean: running (or none), or a larger batch");
  if (by_batch && execution.micro_batches() > 1)
    refuse(all.where_is("execution.micro_batches"),
           "execution.micro_batches is {} with decorrelation.demean batch, whose mean couples the "
           "whole batch forward and backward; expected 1, or demean: running or none",
           execution.micro_batches());
  if (decorrelation.step() > 0 &&
      !find_entry(integrator_table(), decorrelation.integrator())()->takes_step())
    refuse(all.where_is("decorrelation.step"),
           "decorrelation.step is {:f} with integrator {}, which has no fixed step; expected 0",
           decorrelation.step(), decorrelation.integrator());
}

void check_batches(const Settings& all, const Experiment& experiment) {
  const std::size_t samples = experiment.train_samples();
  if (samples == 0)
    refuse(all.where_is("data.validation_samples"),
           "data.validation_samples is {}, expected fewer than the training samples",
           experiment.batches.validation_samples);
  if (all.values().decorrelation().demean() != proto::Demean::batch) return;
  try {
    check_last_batch(samples, experiment.batches.batch_size);
  } catch (const UserError& error) {
    refuse(all.where_is("learning.batch_size"), "{}", error.what());
  }
}

void check_preconditioner(const Settings& all) {
  const proto::Experiment& settings = all.values();
  const proto::Learning& learning = settings.learning();
  const std::string& name = learning.preconditioner();
  const std::string where = all.where_is("learning.preconditioner");
  const auto preconditioner = find_entry(preconditioner_table(), name)(
      {.own = to_parameters(learning.preconditioner_parameter())}, 1, 1);
  const auto credit = find_entry(credit_table(), learning.credit())({});
  if (preconditioner->reads_delta() && credit->perturbed_pass() == PerturbedPass::all_weights)
    refuse(where,
           "{} reads the errors of units, which {} does not have; expected another "
           "learning.credit",
           name, learning.credit());
  if (preconditioner->fisher_errors() != FisherErrors::basis) return;
  for (int i = 0; i < settings.layer_size(); ++i) {
    const proto::Layer& layer = settings.layer(i);
    if (layer.activation() != "identity")
      refuse(where,
             "{} is for linear networks, and layer '{}' has activation {}; expected identity", name,
             layer.name(), layer.activation());
    const std::string& before = i == 0 ? source_name : settings.layer(i - 1).name();
    if (layer.add_size() > 0 || layer.input_size() != 1 || layer.input(0) != before)
      refuse(where,
             "{} shares the step among the layers of a chain, and layer '{}' reads others than "
             "'{}'; expected neither input nor add, or another preconditioner",
             name, layer.name(), before);
  }
  if (find_entry(loss_table(), learning.loss())()->constant_fisher() == 0)
    refuse(where,
           "{} is for losses with a constant Fisher information, not {}; expected learning.loss: "
           "squared_error",
           name, learning.loss());
  if (settings.decorrelation().demean() == proto::Demean::batch)
    refuse(where,
           "{} is for samples that do not depend on each other, expected decorrelation.demean: "
           "running or none",
           name);
}

}  // namespace lateral
