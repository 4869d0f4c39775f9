// Fields of experiment.proto as members of core's parameters.
#include "nodes/experiment/conversion.hpp"

#include <fmt/format.h>

#include <map>
#include <memory>

#include "nodes/base/failure.hpp"
#include "nodes/base/name.hpp"
#include "nodes/experiment/completion.hpp"
#include "nodes/experiment/data_settings.hpp"

namespace lateral {
namespace {

/// Converts an enumeration of experiment.proto to that of core/ or Experiment with the same values.
template <class To, class From>
constexpr To as(From value) {
  return static_cast<To>(value);
}
template <class A, class B>
constexpr bool same(A a, B b) {
  return static_cast<int>(a) == static_cast<int>(b);
}
static_assert(same(Target::label, proto::Target::label) &&
              same(Target::input, proto::Target::input) &&
              same(Target::teacher, proto::Target::teacher) && proto::Target::Kind_ARRAYSIZE == 4 &&
              same(Target::values, proto::Target::values));
static_assert(same(Gain::norm_ratio, proto::Gain::norm_ratio) &&
              same(Gain::per_unit, proto::Gain::per_unit) && same(Gain::none, proto::Gain::none) &&
              proto::Gain::Kind_ARRAYSIZE == 3);
static_assert(same(GainReference::raw, proto::GainReference::raw) &&
              same(GainReference::centred, proto::GainReference::centred) &&
              proto::GainReference::Kind_ARRAYSIZE == 2);
static_assert(same(MatrixUpdate::exact, proto::Update::exact) &&
              same(MatrixUpdate::implicit, proto::Update::implicit) &&
              proto::Update::Kind_ARRAYSIZE == 2);
static_assert(same(DecorrelationMode::closed_form, proto::Mode::closed_form) &&
              same(DecorrelationMode::settled, proto::Mode::settled) &&
              proto::Mode::Kind_ARRAYSIZE == 2);
static_assert(same(Demean::batch, proto::Demean::batch) &&
              same(Demean::running, proto::Demean::running) &&
              same(Demean::none, proto::Demean::none) &&
              same(Demean::learned, proto::Demean::learned) && proto::Demean::Kind_ARRAYSIZE == 4);
static_assert(same(NullDirections::grow, proto::NullDirections::grow) &&
              same(NullDirections::freeze, proto::NullDirections::freeze) &&
              proto::NullDirections::Kind_ARRAYSIZE == 2);
static_assert(same(Diverging::stop, proto::Diverging::stop) &&
              same(Diverging::skip, proto::Diverging::skip) &&
              same(Diverging::shorten, proto::Diverging::shorten) &&
              proto::Diverging::Kind_ARRAYSIZE == 3);
static_assert(same(Normalize::none, proto::Normalize::none) &&
              same(Normalize::feature, proto::Normalize::feature) &&
              same(Normalize::channel, proto::Normalize::channel) &&
              same(Normalize::constants, proto::Normalize::constants) &&
              proto::Normalize::Kind_ARRAYSIZE == 4);
static_assert(same(Precision::float32, proto::Precision::float32) &&
              same(Precision::bf16, proto::Precision::bf16) &&
              proto::Precision::Kind_ARRAYSIZE == 2);

DecorrelatorParams to_decorrelator(const proto::Decorrelation& settings, const std::string& rule) {
  DecorrelatorParams params;
  params.rule = find_entry(decorrelation_table(), rule);
  params.rule_params.learning_rate = static_cast<Scalar>(settings.learning_rate());
  params.rule_params.gain = as<Gain>(settings.gain());
  params.rule_params.gain_reference = as<GainReference>(settings.gain_reference());
  params.rule_params.update = as<MatrixUpdate>(settings.update());
  params.rule_params.mode = as<DecorrelationMode>(settings.mode());
  params.rule_params.initial_scale = static_cast<Scalar>(settings.initial_scale());
  params.rule_params.own = to_parameters(settings.parameter());
  params.demean = as<Demean>(settings.demean());
  params.mean_rate = static_cast<Scalar>(settings.mean_rate());
  params.is_frozen = settings.freeze();
  params.sample_fraction = settings.sample_fraction();
  params.null_directions = as<NullDirections>(settings.null_directions());
  params.integrator = find_entry(integrator_table(), settings.integrator());
  params.settle.tolerance = static_cast<Scalar>(settings.tolerance());
  params.settle.max_steps = static_cast<int>(settings.max_steps());
  params.settle.step = static_cast<Scalar>(settings.step());
  params.warm_start = settings.warm_start();
  return params;
}

LayerParams to_layer_params(const proto::Experiment& settings, const proto::Layer& layer) {
  const proto::Learning& learning = settings.learning();
  LayerParams params;
  params.units = layer.units();
  params.initial_gain = layer.initial_gain();
  params.activation = find_entry(activation_table(), layer.activation());
  params.credit = find_entry(credit_table(), learning.credit());
  params.credit_parameters = to_parameters(learning.parameter());
  params.sigma = learning.sigma();
  params.feedback_through_decorrelation = learning.feedback_through_decorrelation();
  params.preconditioner = find_entry(preconditioner_table(), learning.preconditioner());
  params.preconditioner_params = {.learning_rate = learning.learning_rate(),
                                  .layers = settings.layer_size(),
                                  .own = to_parameters(learning.preconditioner_parameter())};
  params.optimizer = find_entry(optimizer_table(), learning.optimizer());
  params.optimizer_params = {.learning_rate = learning.learning_rate(),
                             .momentum = learning.momentum(),
                             .beta1 = learning.beta1(),
                             .beta2 = learning.beta2(),
                             .epsilon = learning.epsilon()};
  params.diverging = as<Diverging>(learning.diverging());
  params.change_max = learning.change_max();
  params.decorrelator =
      to_decorrelator(settings.decorrelation(), decorrelation_rule_of(settings, layer));
  params.decorrelator.batch = learning.batch_size();
  return params;
}

/// The shape of the concatenated activities of one sample: all channels if the images have equal
/// sizes, otherwise a vector.
Shape concatenated(const std::vector<Shape>& shapes) {
  Shape all = shapes.front();
  for (std::size_t i = 1; i < shapes.size(); ++i) {
    const Shape& next = shapes[i];
    if (next.height == all.height && next.width == all.width)
      all.channels += next.channels;
    else
      all = {all.size() + next.size(), 1, 1};
  }
  return all;
}

/// The layers with their shapes, the topology, and the size of the output.
void add_layers(const Settings& all, Experiment& experiment) {
  const proto::Experiment& settings = all.values();
  const ImageShape& image = experiment.image;
  std::map<std::string, Shape> shapes{{source_name, {image.channels, image.height, image.width}}};
  std::vector<LayerPlace> places;
  for (int i = 0; i < settings.layer_size(); ++i) {
    const proto::Layer& layer = settings.layer(i);
    LayerSpec spec{layer.name(),
                   find_entry(layer_kind_table(), layer.kind()),
                   to_layer_params(settings, layer),
                   {}};
    std::vector<Shape> inputs;
    for (const std::string& input : layer.input()) inputs.push_back(shapes.at(input));
    spec.params.input = concatenated(inputs);
    spec.params.is_output = i + 1 == settings.layer_size();
    if (const std::string refusal = spec.kind().refusal(spec.params); !refusal.empty())
      throw UserError(fmt::format("{}: layer '{}' of kind {}: {}", all.where_is_layer(i), spec.name,
                                  layer.kind(), refusal));
    spec.output = spec.kind().output_shape(spec.params);
    shapes[spec.name] = spec.output;
    places.push_back({spec.name,
                      spec.output.size(),
                      {layer.input().begin(), layer.input().end()},
                      {layer.add().begin(), layer.add().end()}});
    experiment.layers.push_back(std::move(spec));
  }
  experiment.outputs = experiment.layers.back().output.size();
  for (LayerSpec& spec : experiment.layers) spec.params.classes = experiment.outputs;
  experiment.topology = Topology(image.pixels(), places, experiment.signal);
}

}  // namespace

Experiment to_experiment(const Settings& all) {
  const proto::Experiment& settings = all.values();
  const proto::Learning& learning = settings.learning();
  Experiment experiment;
  experiment.name = settings.name();
  experiment.seed = settings.seed();
  experiment.data_format = settings.data().format();
  experiment.make_data_format = find_entry(data_format_table(), settings.data().format());
  experiment.data = data_params(settings);
  experiment.data_description = data_description(settings);
  experiment.image =
      cropped(experiment.data_description.shape, static_cast<int>(settings.data().crop_size()));
  experiment.target = as<Target>(settings.data().target());
  experiment.batches = batch_params(settings);
  experiment.make_loss = find_entry(loss_table(), learning.loss());
  const auto rule =
      find_entry(credit_table(), learning.credit())(to_parameters(learning.parameter()));
  const auto curvature = find_entry(preconditioner_table(), learning.preconditioner())(
      {.own = to_parameters(learning.preconditioner_parameter())}, 1, 1);
  experiment.fisher_errors = curvature->fisher_errors();
  experiment.fisher_interval = static_cast<std::uint64_t>(curvature->fisher_interval());
  experiment.signal = rule->signal();
  experiment.perturbed_pass = rule->perturbed_pass();
  experiment.sees_whole_change = rule->sees_whole_change();
  experiment.credit_is_exact = rule->is_exact();
  experiment.epochs = static_cast<int>(learning.epochs());
  experiment.is_frozen = learning.freeze();
  experiment.stop_when_unsettled = settings.decorrelation().unsettled() == proto::Unsettled::stop;
  experiment.probe_interval = settings.recording().probe_interval();
  experiment.checkpoint_interval = settings.recording().checkpoint_interval();
  experiment.stop_when_unwritable = settings.recording().unwritable() == proto::Unwritable::stop;

  const proto::Execution& execution = settings.execution();
  experiment.compute.product = find_entry(product_table(), execution.product());
  experiment.compute.precision = as<Precision>(execution.precision());
  if (settings.decorrelation().demean() != proto::Demean::batch)
    experiment.compute.samples_per_product = independent_samples;
  experiment.error_leaves_first = execution.schedule() != proto::Schedule::lockstep;
  if (execution.schedule() == proto::Schedule::asynchronous)
    experiment.steps_in_flight = static_cast<Index>(execution.staleness()) + 1;
  experiment.micro_batches = static_cast<int>(execution.micro_batches());
  experiment.restarts_max = static_cast<int>(execution.restarts_max());

  add_layers(all, experiment);
  return experiment;
}

}  // namespace lateral
