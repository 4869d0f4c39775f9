// Reading an experiment: plug-ins, settings, completion, checks, conversion.
#include "nodes/experiment/experiment.hpp"

#include <fmt/format.h>

#include "nodes/base/digest.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/base/name.hpp"
#include "nodes/experiment/checks.hpp"
#include "nodes/experiment/completion.hpp"
#include "nodes/experiment/conversion.hpp"
#include "nodes/experiment/data_settings.hpp"
#include "nodes/experiment/plugins.hpp"
#include "nodes/experiment/protocol.hpp"
#include "nodes/experiment/settings.hpp"

namespace lateral {
namespace {

std::size_t largest_bytes(const std::vector<TensorSpec>& tensors) {
  std::uint64_t largest = 0;
  for (const TensorSpec& tensor : tensors) largest = std::max(largest, values_of(tensor));
  return static_cast<std::size_t>(largest) * sizeof(float);
}

std::string names_in_table(const std::string& table) {
  if (table == "layer_kind") return names_of(layer_kind_table());
  if (table == "activation") return names_of(activation_table());
  if (table == "loss") return names_of(loss_table());
  if (table == "optimizer") return names_of(optimizer_table());
  if (table == "preconditioner") return names_of(preconditioner_table());
  if (table == "credit") return names_of(credit_table());
  if (table == "integrator") return names_of(integrator_table());
  if (table == "decorrelation") return names_of(decorrelation_table());
  if (table == "product") return names_of(product_table());
  if (table == "data_format") return names_of(data_format_table());
  throw std::logic_error(fmt::format("experiment.proto names an unknown table '{}'", table));
}

/// Loads the plug-ins that an experiment names.
void load_plugins_of(const proto::Experiment& settings, const std::string& origin) {
  for (const proto::Plugin& plugin : settings.execution().plugin()) {
    if (plugin.file().empty())
      throw UserError(
          fmt::format("{}: execution.plugin has no file, expected file: \"PATH\"", origin));
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

/// Training steps between checkpoints that bound the messages which nodes retain for their peers.
std::uint32_t default_interval(const Experiment& experiment) {
  constexpr double retained_bytes = 128e6;
  constexpr double interval_max = 1000;
  if (experiment.restarts_max == 0 || experiment.steps_in_flight > 1) return 0;
  double most = 1;
  for (const LayerSpec& layer : experiment.layers)
    most = std::max(most, bytes_sent(experiment, layer.name));
  return static_cast<std::uint32_t>(std::clamp(retained_bytes / most, 1.0, interval_max));
}

}  // namespace

const LayerSpec& Experiment::layer(const std::string& layer_name) const {
  const auto found = std::find_if(layers.begin(), layers.end(),
                                  [&](const LayerSpec& spec) { return spec.name == layer_name; });
  LATERAL_CHECK(found != layers.end());
  return *found;
}

std::size_t Experiment::train_samples() const {
  std::size_t samples = data_description.train_samples;
  if (batches.train_limit > 0)
    samples = std::min(samples, static_cast<std::size_t>(batches.train_limit));
  return samples - std::min(samples, static_cast<std::size_t>(batches.validation_samples));
}

std::size_t Experiment::tensor_bytes_max() const {
  std::size_t largest = sizeof(float);
  for (const LayerSpec& spec : layers) largest = std::max(largest, largest_bytes(tensors(spec)));
  return largest;
}

std::size_t Experiment::report_bytes_max(const LayerSpec& spec) const {
  return std::max(largest_bytes(tensors(spec)), record_bytes_max(records));
}

Index micro_batch(Index batch, int micro_batches) {
  const Index share = (batch + micro_batches - 1) / micro_batches;
  return (share + independent_samples - 1) / independent_samples * independent_samples;
}

std::uint64_t values_of(const TensorSpec& tensor) {
  std::uint64_t values = 1;
  for (const Index extent : tensor.shape) values *= static_cast<std::uint64_t>(extent);
  return values;
}

Experiment load_experiment(const std::filesystem::path& file, const std::vector<std::string>& sets,
                           DataFolders folders) {
  std::error_code ignored;
  // From a pipe, paths of data are relative to the working directory.
  if (std::filesystem::is_regular_file(file, ignored)) folders.experiment = file.parent_path();
  return parse_experiment(read_text_file(file, experiment_bytes_max, "experiment file"),
                          file.string(), sets, folders);
}

Experiment parse_experiment(std::string_view text, const std::string& origin,
                            const std::vector<std::string>& sets, const DataFolders& folders) {
  proto::Experiment as_written;
  parse_text(text, origin, as_written);
  load_plugins_of(as_written, origin);  // before the tables of rules are read
  Settings settings{text, origin, sets, names_in_table};
  record_plugins(settings.values());
  complete_data(settings, folders);
  const ImageShape image = cropped(data_description(settings.values()).shape,
                                   static_cast<int>(settings.values().data().crop_size()));
  check_names(settings, image);
  complete_graph(settings);
  complete_output(settings, image);
  check_graph(settings);
  complete_rules(settings);
  check_preconditioner(settings);
  // The default that depends on the build.
  if (!settings.values().execution().has_product())
    settings.values().mutable_execution()->set_product(default_product());
  Experiment experiment = to_experiment(settings);
  check_shapes(settings, experiment);
  check_network(settings, image);
  check_batches(settings, experiment);
  if (!settings.values().recording().has_checkpoint_interval()) {
    experiment.checkpoint_interval = default_interval(experiment);
    settings.values().mutable_recording()->set_checkpoint_interval(
        static_cast<std::uint32_t>(experiment.checkpoint_interval));
  }
  experiment.records = read_records(settings, experiment);
  experiment.recording_bytes_max = 1e6 * settings.values().recording().size_limit_mb();
  check_recording_size(experiment, train_steps_per_epoch_max(experiment), settings.origin());
  google::protobuf::TextFormat::PrintToString(settings.values(), &experiment.text);
  experiment.digest = sha256(experiment.text);
  return experiment;
}

std::string movable_text(const std::string& text, const std::filesystem::path& origin,
                         const DataFolders& folders) {
  proto::Experiment settings;
  parse_text(text, origin.string(), settings);
  if (loaded_plugins().empty() && !settings.data().has_train()) return text;
  record_plugins(settings);
  make_data_paths_absolute(settings, folders.given.empty() ? origin.parent_path() : folders.given);
  std::string recorded;
  google::protobuf::TextFormat::PrintToString(settings, &recorded);
  return recorded;
}

bool differs_only_in_epochs(const std::string& text, const std::string& other,
                            const std::string& origin) {
  const std::vector<std::string> same{"learning.epochs=1"};
  const auto comparable = [&](const std::string& experiment, const std::string& where) {
    proto::Experiment settings;
    parse_text(parse_experiment(experiment, where, same).text, where, settings);
    clear_data_paths(settings);
    return settings.SerializeAsString();
  };
  return comparable(text, "") == comparable(other, fmt::format("the experiment in {}", origin));
}

}  // namespace lateral
