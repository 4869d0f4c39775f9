// From checked settings to plain structs.
#include "nodes/experiment/experiment.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "nodes/base/digest.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/base/name.hpp"
#include "nodes/experiment/plugins.hpp"
#include "nodes/experiment/settings.hpp"

namespace lateral {
namespace {

std::string names_in_table(const std::string& table) {
  if (table == "activation") return names_of(activation_table());
  if (table == "loss") return names_of(loss_table());
  if (table == "optimizer") return names_of(optimizer_table());
  if (table == "preconditioner") return names_of(preconditioner_table());
  if (table == "credit") return names_of(credit_table());
  if (table == "integrator") return names_of(integrator_table());
  if (table == "decorrelation") return names_of(decorrelation_table());
  if (table == "product") return names_of(product_table());
  if (table == "data_format") return names_of(data_format_table());
  throw std::logic_error("experiment.proto names an unknown table '" + table + "'");
}

Target to_target(proto::Target::Kind kind) {
  switch (kind) {
    case proto::Target::label:
      return Target::label;
    case proto::Target::input:
      return Target::input;
    case proto::Target::teacher:
      return Target::teacher;
  }
  throw std::logic_error("target");
}

// ---- What a schema cannot say

void check_network(const Settings& all, const ImageShape& image) {
  const proto::Experiment& settings = all.values();
  if (!is_name(settings.name()))
    throw UserError(all.origin() + ": name is '" + settings.name() +
                    "', expected letters, digits, '_' and '-'");
  if (settings.layer_size() == 0)
    throw UserError(all.origin() +
                    ": no layer, expected at least one: layer { name: \"output\" units: " +
                    std::to_string(image.classes) + " }");
  if (static_cast<std::size_t>(settings.layer_size()) > layers_max)
    throw UserError(all.origin() + ": " + std::to_string(settings.layer_size()) +
                    " layers, expected at most " + std::to_string(layers_max));
  std::set<std::string> names{"source", "readout", "coordinator"};
  for (int i = 0; i < settings.layer_size(); ++i) {
    const proto::Layer& layer = settings.layer(i);
    if (!is_name(layer.name()))
      throw UserError(all.where_is_layer(i) + ": a layer is called '" + layer.name() +
                      "', expected a name of letters, digits, '_' and '-'");
    if (!names.insert(layer.name()).second)
      throw UserError(all.where_is_layer(i) + ": the layer name '" + layer.name() +
                      "' is taken, expected one of its own");
    if (!layer.has_units())
      throw UserError(all.where_is_layer(i) + ": layer '" + layer.name() +
                      "' has no units, expected units: N");
  }
  const proto::Layer& output = settings.layer(settings.layer_size() - 1);
  const Target target = to_target(settings.data().target());
  const int values = target == Target::label ? image.classes : image.pixels();
  if (target != Target::teacher && output.units() != static_cast<std::uint32_t>(values))
    throw UserError(all.where_is_layer(settings.layer_size() - 1, "units") + ": the last layer '" +
                    output.name() + "' has " + std::to_string(output.units()) +
                    " units, expected " + std::to_string(values) + ", the " +
                    (target == Target::label ? "classes" : "inputs") + " of " +
                    settings.data().format());
  if (target != Target::label &&
      !find_entry(loss_table(), settings.learning().loss())()->takes_vectors())
    throw UserError(all.where_is("learning.loss") + ": learning.loss is " +
                    settings.learning().loss() +
                    ", which compares with a label; expected squared_error with data.target " +
                    proto::Target::Kind_Name(settings.data().target()));
  if (settings.execution().precision() == proto::Precision::bf16 &&
      !find_entry(product_table(), settings.execution().product())()->multiplies_bf16())
    throw UserError(all.where_is("execution.precision") + ": execution.precision is bf16, which " +
                    settings.execution().product() +
                    " cannot do on this processor; expected float32, or execution.product: eigen");
  if (image.height == 1 &&
      (settings.data().crop_padding() > 0 || settings.data().horizontal_flip()))
    throw UserError(all.where_is(settings.data().crop_padding() > 0 ? "data.crop_padding"
                                                                    : "data.horizontal_flip") +
                    ": data.crop_padding and data.horizontal_flip are for images, and " +
                    settings.data().format() + " has none; expected neither");
  const proto::Decorrelation& decorrelation = settings.decorrelation();
  if (decorrelation.demean() == proto::Demean::batch && settings.learning().batch_size() == 1)
    throw UserError(
        all.origin() +
        ": decorrelation.demean is batch with learning.batch_size 1: the mean of one sample is "
        "the sample; expected demean: running (or none), or a larger batch");
  if (decorrelation.demean() == proto::Demean::batch && settings.execution().micro_batches() > 1)
    throw UserError(all.where_is("execution.micro_batches") + ": execution.micro_batches is " +
                    std::to_string(settings.execution().micro_batches()) +
                    " with decorrelation.demean batch, whose mean couples the whole batch forward "
                    "and backward; expected 1, or demean: running or none");
  if (decorrelation.step() > 0 &&
      !find_entry(integrator_table(), decorrelation.integrator())()->takes_step())
    throw UserError(all.where_is("decorrelation.step") + ": decorrelation.step is " +
                    std::to_string(decorrelation.step()) + " with integrator " +
                    decorrelation.integrator() + ", which has no fixed step; expected 0");
}

// ---- Rules and what they declare

const std::string& rule_of(const proto::Experiment& settings, const proto::Layer& layer) {
  return layer.has_decorrelation() ? layer.decorrelation() : settings.decorrelation().rule();
}

/// One of each rule that some layer decorrelates by.
std::map<std::string, std::unique_ptr<DecorrelationRule>> rules_of(
    const proto::Experiment& settings) {
  std::map<std::string, std::unique_ptr<DecorrelationRule>> rules;
  for (const proto::Layer& layer : settings.layer()) {
    const std::string& name = rule_of(settings, layer);
    if (name != "none" && !rules.contains(name))
      rules[name] = find_entry(decorrelation_table(), name)({});
  }
  return rules;
}

using Parameters = google::protobuf::RepeatedPtrField<proto::Parameter>;

/// By name, as each rule that has it declares it.
using Declared = std::map<std::string, std::vector<const RuleParameter*>>;

/// Refuses parameters that are unknown or out of some rule's range, and orders them; those that are
/// missing get their default where the rules agree on it.
void complete_parameters(const Settings& all, const std::string& path, const Declared& known,
                         Parameters& parameters) {
  std::map<std::string, double> values;
  for (const proto::Parameter& parameter : parameters) {
    const std::string where = all.where_is(path + parameter.name());
    const auto declared = known.find(parameter.name());
    if (declared == known.end()) {
      std::string names;
      for (const auto& [name, rule] : known) names += (names.empty() ? "" : ", ") + name;
      throw UserError(where + ": no rule of this network has a parameter '" + parameter.name() +
                      "', expected " + (names.empty() ? "none" : "one of " + names));
    }
    for (const RuleParameter* range : declared->second) {
      if (range->is_whole && std::floor(parameter.value()) != parameter.value()) {
        std::ostringstream line;
        line << where << ": " << path << parameter.name() << " is " << parameter.value()
             << ", expected a whole number from " << range->min << " to " << range->max;
        throw UserError(line.str());
      }
      if (parameter.value() >= range->min && parameter.value() <= range->max) continue;
      std::ostringstream line;
      line << where << ": " << path << parameter.name() << " is " << parameter.value()
           << ", expected a value from " << range->min << " to " << range->max;
      throw UserError(line.str());
    }
    if (!values.emplace(parameter.name(), parameter.value()).second)
      throw UserError(where + ": " + path + parameter.name() + " is given twice, expected once");
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

RuleParameters to_parameters(const Parameters& parameters) {
  std::map<std::string, double> own;
  for (const proto::Parameter& parameter : parameters) own[parameter.name()] = parameter.value();
  return RuleParameters(std::move(own));
}

/// Refuses a network whose curvature the preconditioner cannot see.
void check_preconditioner(const Settings& all, const CreditRule& credit) {
  const proto::Experiment& settings = all.values();
  const proto::Learning& learning = settings.learning();
  const std::string& name = learning.preconditioner();
  const std::unique_ptr<Preconditioner> preconditioner = find_entry(preconditioner_table(), name)(
      {.own = to_parameters(learning.preconditioner_parameter())}, 1, 1);
  if (preconditioner->reads_delta() && credit.perturbed_pass() == PerturbedPass::all_weights)
    throw UserError(all.where_is("learning.preconditioner") + ": " + name +
                    " reads the errors of units, which " + learning.credit() +
                    " does not have; expected another learning.credit");
  if (preconditioner->fisher_errors() != FisherErrors::basis) return;
  const std::string what = all.where_is("learning.preconditioner") + ": " + name + " is for ";
  for (const proto::Layer& layer : settings.layer())
    if (layer.activation() != "identity")
      throw UserError(what + "linear networks, and layer '" + layer.name() + "' has activation " +
                      layer.activation() + "; expected identity");
  if (find_entry(loss_table(), learning.loss())()->constant_fisher() == 0)
    throw UserError(what + "losses with a constant Fisher information, not " + learning.loss() +
                    "; expected learning.loss: squared_error");
  if (settings.decorrelation().demean() == proto::Demean::batch)
    throw UserError(what +
                    "samples that do not depend on each other, expected decorrelation.demean: "
                    "running or none");
}

/// Fills in what the rules' own declarations say, and refuses what none of them knows.
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
  const bool settled = decorrelation.mode() == proto::Mode::settled;
  const auto& execution = settings.execution();
  const bool delayed =
      execution.schedule() == proto::Schedule::asynchronous && execution.staleness() > 0;
  Declared known;
  for (const auto& [name, rule] : rules) {
    if (rule->whitens_batch() && decorrelation.demean() != proto::Demean::batch)
      throw UserError(all.where_is("decorrelation.demean") + ": rule " + name +
                      " whitens each batch by its own covariance, expected demean: batch");
    if (rule->reparametrises() && delayed)
      throw UserError(all.where_is("execution.schedule") + ": rule " + name +
                      " turns the weights along with R, which steps in flight would not see; "
                      "expected schedule: overlapped or lockstep");
    if (rule->whitens_batch() && delayed)
      throw UserError(all.where_is("execution.schedule") + ": rule " + name +
                      " whitens each batch by its own covariance and keeps one at a time, expected "
                      "schedule: overlapped or lockstep");
    const DecorrelationModes modes = rule->modes();
    if (rules.size() > 1 && !settings_have_mode && (settled ? !modes.settled : !modes.closed_form))
      throw UserError(
          all.origin() + ": rule " + name + " has only mode " +
          (settled ? "closed_form" : "settled") + " and another rule of this network only " +
          (settled ? "settled" : "closed_form") + ", expected rules with a mode in common");
    if (settled ? !modes.settled : !modes.closed_form)
      throw UserError(all.where_is("decorrelation.mode") + ": decorrelation.mode is " +
                      (settled ? "settled" : "closed_form") + " with rule " + name + ", expected " +
                      (settled ? "closed_form" : "settled"));
    for (const RuleParameter& parameter : rule->info().parameters)
      known[parameter.name].push_back(&parameter);
  }
  complete_parameters(all, "decorrelation.parameter.", known, *decorrelation.mutable_parameter());
  const std::unique_ptr<CreditRule> credit =
      find_entry(credit_table(), settings.learning().credit())({});
  known.clear();
  for (const RuleParameter& parameter : credit->info().parameters)
    known[parameter.name].push_back(&parameter);
  complete_parameters(all, "learning.parameter.", known,
                      *settings.mutable_learning()->mutable_parameter());
  const std::unique_ptr<Preconditioner> preconditioner =
      find_entry(preconditioner_table(), settings.learning().preconditioner())({}, 1, 1);
  known.clear();
  for (const RuleParameter& parameter : preconditioner->info().parameters)
    known[parameter.name].push_back(&parameter);
  complete_parameters(all, "learning.preconditioner_parameter.", known,
                      *settings.mutable_learning()->mutable_preconditioner_parameter());
  check_preconditioner(all, *credit);
}

// ---- Plug-ins

/// Loads the plug-ins that an experiment names.
void load_plugins_of(const proto::Experiment& settings, const std::string& origin) {
  for (const proto::Plugin& plugin : settings.execution().plugin()) {
    if (plugin.file().empty())
      throw UserError(origin + ": execution.plugin has no file, expected file: \"PATH\"");
    load_plugin(plugin.file(), plugin.sha256());
  }
}

void record_plugins(proto::Experiment& settings) {
  if (loaded_plugins().empty()) return;
  proto::Execution& execution = *settings.mutable_execution();
  execution.clear_plugin();
  for (const Plugin& plugin : loaded_plugins()) {
    proto::Plugin& recorded = *execution.add_plugin();
    recorded.set_file(plugin.file);
    recorded.set_sha256(plugin.sha256);
  }
}

// ---- To plain structs

Gain to_gain(proto::Gain::Kind kind) {
  switch (kind) {
    case proto::Gain::norm_ratio:
      return Gain::norm_ratio;
    case proto::Gain::per_unit:
      return Gain::per_unit;
    case proto::Gain::none:
      return Gain::none;
  }
  throw std::logic_error("gain");
}

Diverging to_diverging(proto::Diverging::Kind kind) {
  switch (kind) {
    case proto::Diverging::stop:
      return Diverging::stop;
    case proto::Diverging::skip:
      return Diverging::skip;
    case proto::Diverging::shorten:
      return Diverging::shorten;
  }
  throw std::logic_error("diverging");
}

Demean to_demean(proto::Demean::Kind kind) {
  switch (kind) {
    case proto::Demean::batch:
      return Demean::batch;
    case proto::Demean::running:
      return Demean::running;
    case proto::Demean::none:
      return Demean::none;
  }
  throw std::logic_error("demean");
}

DecorrelatorParams to_decorrelator(const proto::Decorrelation& settings, const std::string& rule) {
  DecorrelatorParams params;
  params.rule = find_entry(decorrelation_table(), rule);
  params.rule_params.learning_rate = static_cast<Scalar>(settings.learning_rate());
  params.rule_params.gain = to_gain(settings.gain());
  params.rule_params.gain_reference = settings.gain_reference() == proto::GainReference::centred
                                          ? GainReference::centred
                                          : GainReference::raw;
  params.rule_params.update =
      settings.update() == proto::Update::implicit ? MatrixUpdate::implicit : MatrixUpdate::exact;
  params.rule_params.mode = settings.mode() == proto::Mode::settled
                                ? DecorrelationMode::settled
                                : DecorrelationMode::closed_form;
  params.rule_params.initial_scale = static_cast<Scalar>(settings.initial_scale());
  params.rule_params.own = to_parameters(settings.parameter());
  params.demean = to_demean(settings.demean());
  params.sample_fraction = settings.sample_fraction();
  params.null_directions = settings.null_directions() == proto::NullDirections::freeze
                               ? NullDirections::freeze
                               : NullDirections::grow;
  params.integrator = find_entry(integrator_table(), settings.integrator());
  params.settle.tolerance = static_cast<Scalar>(settings.tolerance());
  params.settle.max_steps = static_cast<int>(settings.max_steps());
  params.settle.step = static_cast<Scalar>(settings.step());
  params.warm_start = settings.warm_start();
  return params;
}

GeneratedParams generated_params(const proto::Experiment& settings) {
  const proto::Generated& generated = settings.data().generated();
  return {.seed = settings.seed(),
          .train_samples = static_cast<int>(generated.train_samples()),
          .test_samples = static_cast<int>(generated.test_samples()),
          .size = static_cast<int>(generated.size()),
          .noise = generated.noise(),
          .inputs = static_cast<int>(generated.inputs()),
          .correlation = generated.correlation()};
}

ImageShape image_of(const proto::Experiment& settings) {
  return find_entry(data_format_table(), settings.data().format())()->shape(
      generated_params(settings));
}

Experiment to_experiment(const proto::Experiment& settings) {
  const proto::Learning& learning = settings.learning();
  Experiment experiment;
  experiment.name = settings.name();
  experiment.seed = settings.seed();
  experiment.data_format = settings.data().format();
  experiment.make_data_format = find_entry(data_format_table(), settings.data().format());
  experiment.generated = generated_params(settings);
  experiment.image = image_of(settings);
  experiment.target = to_target(settings.data().target());
  experiment.outputs = settings.layer(settings.layer_size() - 1).units();
  experiment.batches = {
      .batch_size = static_cast<int>(learning.batch_size()),
      .shuffle = learning.shuffle(),
      .train_limit = static_cast<int>(settings.data().train_limit()),
      .test_limit = static_cast<int>(settings.data().test_limit()),
      .validation_samples = static_cast<int>(settings.data().validation_samples()),
      .crop_padding = static_cast<int>(settings.data().crop_padding()),
      .horizontal_flip = settings.data().horizontal_flip(),
      .seed = settings.seed()};
  experiment.make_loss = find_entry(loss_table(), learning.loss());
  MakeCreditRule* credit = find_entry(credit_table(), learning.credit());
  const RuleParameters credit_parameters = to_parameters(learning.parameter());
  const std::unique_ptr<CreditRule> rule = credit(credit_parameters);
  MakePreconditioner* preconditioner =
      find_entry(preconditioner_table(), learning.preconditioner());
  const PreconditionerParams preconditioner_params{
      .learning_rate = learning.learning_rate(),
      .layers = settings.layer_size(),
      .own = to_parameters(learning.preconditioner_parameter())};
  const std::unique_ptr<Preconditioner> curvature = preconditioner(preconditioner_params, 1, 1);
  experiment.fisher_errors = curvature->fisher_errors();
  experiment.fisher_interval = static_cast<std::uint64_t>(curvature->fisher_interval());
  experiment.signal = rule->signal();
  experiment.perturbed_pass = rule->perturbed_pass();
  experiment.sees_whole_change = rule->sees_whole_change();
  experiment.credit_is_exact = rule->is_exact();
  experiment.epochs = static_cast<int>(learning.epochs());
  experiment.stop_when_unsettled = settings.decorrelation().unsettled() == proto::Unsettled::stop;
  experiment.probe_interval = settings.recording().probe_interval();
  experiment.checkpoint_interval = settings.recording().checkpoint_interval();
  experiment.stop_when_unwritable = settings.recording().unwritable() == proto::Unwritable::stop;

  const proto::Execution& execution = settings.execution();
  experiment.compute.product = find_entry(product_table(), execution.product());
  experiment.compute.precision =
      execution.precision() == proto::Precision::bf16 ? Precision::bf16 : Precision::float32;
  if (settings.decorrelation().demean() != proto::Demean::batch)
    experiment.compute.samples_per_product = independent_samples;
  experiment.error_leaves_first = execution.schedule() != proto::Schedule::lockstep;
  if (execution.schedule() == proto::Schedule::asynchronous)
    experiment.steps_in_flight = static_cast<Index>(execution.staleness()) + 1;
  experiment.micro_batches = static_cast<int>(execution.micro_batches());
  experiment.restarts_max = static_cast<int>(execution.restarts_max());

  Index inputs = experiment.image.pixels();
  for (const proto::Layer& layer : settings.layer()) {
    DenseLayerParams params;
    params.inputs = inputs;
    params.units = layer.units();
    params.classes = experiment.outputs;
    params.initial_gain = layer.initial_gain();
    params.activation = find_entry(activation_table(), layer.activation());
    params.credit = credit;
    params.credit_parameters = credit_parameters;
    params.sigma = learning.sigma();
    params.feedback_through_decorrelation = learning.feedback_through_decorrelation();
    params.preconditioner = preconditioner;
    params.preconditioner_params = preconditioner_params;
    params.optimizer = find_entry(optimizer_table(), learning.optimizer());
    params.optimizer_params = {.learning_rate = learning.learning_rate(),
                               .momentum = learning.momentum(),
                               .beta1 = learning.beta1(),
                               .beta2 = learning.beta2(),
                               .epsilon = learning.epsilon()};
    params.diverging = to_diverging(learning.diverging());
    params.change_max = learning.change_max();
    params.decorrelator = to_decorrelator(settings.decorrelation(), rule_of(settings, layer));
    params.decorrelator.batch = learning.batch_size();
    params.decorrelator.steps_in_flight = experiment.steps_in_flight;
    experiment.layers.push_back({layer.name(), params});
    inputs = params.units;
  }
  experiment.layers.back().params.is_output = true;
  return experiment;
}

/// Steps between checkpoints, so that what nodes keep for each other stays bounded.
std::uint32_t default_interval(const Experiment& experiment) {
  constexpr double kept_bytes = 128e6;
  constexpr double interval_max = 1000;
  if (experiment.restarts_max == 0 || experiment.steps_in_flight > 1) return 0;
  double most = 1;
  for (std::size_t i = 0; i < experiment.layers.size(); ++i)
    most = std::max(most, experiment.bytes_sent(i));
  return static_cast<std::uint32_t>(std::clamp(kept_bytes / most, 1.0, interval_max));
}

}  // namespace

Index Experiment::micro_batch(Index batch) const {
  const Index share = (batch + micro_batches - 1) / micro_batches;
  return (share + independent_samples - 1) / independent_samples * independent_samples;
}

std::size_t Experiment::messages_in_flight() const {
  // Activity and perturbations, or error, Fisher error and true error.
  const std::size_t kinds =
      perturbed_pass == PerturbedPass::units_of_one_layer ? 2 + layers.size() : 3;
  return kinds * static_cast<std::size_t>(micro_batches) *
         static_cast<std::size_t>(steps_in_flight);
}

std::size_t Experiment::batch_bytes_max() const {
  Index widest = image.pixels();
  for (const LayerSpec& layer : layers)
    widest = std::max(widest, layer.params.units + change_rows());
  const Index samples =
      std::max<Index>(batches.batch_size, fisher_errors == FisherErrors::basis ? outputs : 0);
  return static_cast<std::size_t>(widest) * static_cast<std::size_t>(samples) * sizeof(float);
}

double Experiment::bytes_sent(std::size_t position) const {
  const DenseLayerParams& params = layers[position].params;
  double up = 1, down = 0;  // messages of `units` and of `inputs` numbers a sample
  if (perturbed_pass == PerturbedPass::units_of_one_layer)
    up += static_cast<double>(position + 1);
  else if (perturbed_pass != PerturbedPass::none)
    up += 1;
  if (signal == Signal::error) down += 1;
  const auto batch = static_cast<double>(batches.batch_size);
  if (fisher_errors != FisherErrors::none) {
    const bool is_basis = fisher_errors == FisherErrors::basis;
    const double columns = is_basis ? static_cast<double>(outputs) / batch : 1;
    down += columns / static_cast<double>(fisher_interval);
  }
  if (probe_interval > 0 && compares_gradients()) down += 1 / static_cast<double>(probe_interval);
  if (position == 0) down = 0;
  return (up * static_cast<double>(params.units + change_rows()) +
          down * static_cast<double>(params.inputs)) *
         batch * sizeof(float);
}

std::size_t Experiment::tensor_bytes_max() const {
  std::size_t largest = batch_bytes_max();  // a warm start keeps a batch
  for (const LayerSpec& layer : layers)
    for (const auto& [tensor, values] : state_sizes(layer.params))
      largest = std::max(largest, static_cast<std::size_t>(values) * sizeof(float));
  return largest;
}

std::size_t Experiment::report_bytes_max() const {
  return std::max(tensor_bytes_max(), record_bytes_max(records));
}

std::vector<std::pair<std::string, std::uint64_t>> state_sizes(const DenseLayerParams& params) {
  DenseLayerParams miniature = params;
  miniature.inputs = 11;
  miniature.units = 7;
  miniature.classes = 5;
  miniature.decorrelator.batch = 13;
  if (params.is_output) miniature.classes = miniature.units;
  const auto extent = [&](Index small) {
    if (small == miniature.inputs + 1) return params.inputs + 1;
    if (small % miniature.inputs == 0) return small / miniature.inputs * params.inputs;
    if (small == miniature.units) return params.units;
    if (small == miniature.classes) return params.classes;
    if (small == miniature.decorrelator.batch) return params.decorrelator.batch;
    return small;
  };
  std::vector<std::pair<std::string, std::uint64_t>> sizes;
  DenseLayer layer{miniature, 0, 0};
  layer.visit_state([&](const TensorView& tensor) {
    sizes.emplace_back(tensor.name, static_cast<std::uint64_t>(extent(tensor.rows)) *
                                        static_cast<std::uint64_t>(extent(tensor.cols)));
  });
  return sizes;
}

Experiment load_experiment(const std::filesystem::path& file,
                           const std::vector<std::string>& sets) {
  return parse_experiment(read_file(file, experiment_bytes_max, "experiment file"), file.string(),
                          sets);
}

Experiment parse_experiment(std::string_view text, const std::string& origin,
                            const std::vector<std::string>& sets) {
  proto::Experiment as_written;
  parse_text(text, origin, as_written);
  load_plugins_of(as_written, origin);  // before anything asks which rules there are
  Settings settings{text, origin, sets, names_in_table};
  record_plugins(settings.values());
  complete_rules(settings);
  // The default that depends on the build.
  if (!settings.values().execution().has_product())
    settings.values().mutable_execution()->set_product(default_product());
  check_network(settings, image_of(settings.values()));
  if (!settings.values().recording().has_checkpoint_interval()) {
    const Experiment sized = to_experiment(settings.values());
    settings.values().mutable_recording()->set_checkpoint_interval(default_interval(sized));
  }

  Experiment experiment = to_experiment(settings.values());
  experiment.records = read_records(settings, experiment);
  experiment.recording_bytes_max = 1e6 * settings.values().recording().size_limit_mb();
  check_recording_size(experiment, train_steps_per_epoch_max(experiment), settings.origin());
  google::protobuf::TextFormat::PrintToString(settings.values(), &experiment.text);
  experiment.digest = sha256(experiment.text);
  return experiment;
}

std::string with_plugins(const std::string& text, const std::string& origin) {
  if (loaded_plugins().empty()) return text;
  proto::Experiment settings;
  parse_text(text, origin, settings);
  record_plugins(settings);
  std::string recorded;
  google::protobuf::TextFormat::PrintToString(settings, &recorded);
  return recorded;
}

bool differs_only_in_epochs(const std::string& text, const std::string& other,
                            const std::string& origin) {
  const std::vector<std::string> same{"learning.epochs=1"};
  return parse_experiment(text, "", same).text ==
         parse_experiment(other, "the experiment in " + origin, same).text;
}

}  // namespace lateral
