// Experiment: a checked and completed experiment file as plain values.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/layer/layer.hpp"
#include "core/loss/loss.hpp"
#include "nodes/data/batches.hpp"
#include "nodes/data/dataset.hpp"
#include "nodes/experiment/data_folders.hpp"
#include "nodes/experiment/record_plan.hpp"
#include "nodes/experiment/topology.hpp"

namespace lateral {

struct LayerSpec {
  std::string name;
  GetLayerKind* kind = nullptr;
  LayerParams params;
  Shape output;  ///< of a sample of its activity
};

/// The target with which the loss compares the network's output.
enum class Target {
  label,    ///< one-hot vector of the label
  input,    ///< the normalised input
  teacher,  ///< T z / √inputs, T ~ N(0, 1)
  values,   ///< numbers of the data
};

/// All settings of a run, as plain values. Code that uses it needs neither Protocol Buffers nor
/// files nor environment variables.
struct Experiment {
  std::string name;
  std::uint64_t seed = 0;
  std::string text;    ///< the effective configuration: defaults filled in, --set applied
  std::string digest;  ///< SHA-256 of text, 32 bytes

  std::string data_format;
  MakeDataFormat* make_data_format = nullptr;
  DataParams data;
  DataDescription data_description;
  BatchParams batches;
  ImageShape image;  ///< of a sample in a batch
  Target target = Target::label;
  Index outputs = 0;  ///< values of the network's output, and of a target

  std::vector<LayerSpec> layers;
  Topology topology;
  MakeLoss* make_loss = nullptr;
  bool credit_is_exact = true;  ///< CreditRule::is_exact()
  Signal signal = Signal::error;
  PerturbedPass perturbed_pass = PerturbedPass::none;
  bool sees_whole_change = false;                   ///< CreditRule::sees_whole_change()
  FisherErrors fisher_errors = FisherErrors::none;  ///< Preconditioner::fisher_errors()
  std::uint64_t fisher_interval = 1;
  int epochs = 1;
  bool is_frozen = false;  ///< nothing is learned
  bool stop_when_unsettled = true;
  std::uint64_t probe_interval = 0;
  std::uint64_t checkpoint_interval = 0;
  bool stop_when_unwritable = true;
  std::vector<Record> records;
  double recording_bytes_max = 0;  ///< of recording.h5

  ComputeParams compute;           ///< without the threads, which are an option of each node
  bool error_leaves_first = true;  ///< false: lockstep
  Index steps_in_flight = 1;  ///< batches that a layer receives before it learns from the first
  int micro_batches = 1;
  int restarts_max = 0;  ///< replacements of a node between two checkpoints

  const LayerSpec& layer(const std::string& layer_name) const;
  /// The tensors of a layer's state.
  std::vector<TensorSpec> tensors(const LayerSpec& spec) const {
    return spec.kind().tensors(spec.params);
  }
  /// What is evaluated after an epoch: "test" or "validation" samples.
  const char* evaluated_on() const {
    return batches.validation_samples > 0 ? "validation" : "test";
  }
  /// Samples that are trained on in an epoch, by the description of the data.
  std::size_t train_samples() const;
  /// Largest tensor of a layer's state [bytes].
  std::size_t tensor_bytes_max() const;
  /// Largest body [bytes] of a message of this layer to the coordinator.
  std::size_t report_bytes_max(const LayerSpec& spec) const;
};

/// Samples of each micro-batch except the last, of a batch of `batch` samples.
Index micro_batch(Index batch, int micro_batches);

/// Number of values of a tensor.
std::uint64_t values_of(const TensorSpec& tensor);

/// Loads the plug-ins that the file names, applies each "PATH=VALUE", and checks the result. The
/// plug-ins of this process and the description of users' files are recorded in it. Throws
/// UserError with file, line and what was expected.
///   folders: `experiment` is filled in
Experiment load_experiment(const std::filesystem::path& file, const std::vector<std::string>& sets,
                           DataFolders folders = {});
/// The same from text; `origin` names it in messages.
Experiment parse_experiment(std::string_view text, const std::string& origin,
                            const std::vector<std::string>& sets, const DataFolders& folders = {});

/// The text of an experiment with the plug-ins of this process recorded in it, and with absolute
/// paths of the data: so that it can be read in another folder than that of the file `origin`.
std::string movable_text(const std::string& text, const std::filesystem::path& origin,
                         const DataFolders& folders);

/// True if two effective configurations differ only in learning.epochs and in the paths of data.
/// `origin` names the file of
/// the second.  Throws UserError if it is not an experiment.
bool differs_only_in_epochs(const std::string& text, const std::string& other,
                            const std::string& origin);

inline constexpr std::size_t experiment_bytes_max = std::size_t{256} << 10;
inline constexpr std::size_t layers_max = 1024;
/// Where samples do not depend on each other, no matrix product includes more of them than this, so
/// that the results of a sample are the same bits for a whole batch and for micro-batches.
inline constexpr Index independent_samples = 32;

}  // namespace lateral
