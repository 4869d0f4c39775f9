// With faults of nodes, links and disks a run ends, with the same bits as without faults. More
// seeds: LATERAL_SIMULATION_SEEDS=10000; to repeat one: …_FIRST_SEED=N, SEEDS=1.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "tests/support/faulty_network.hpp"

namespace lateral {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// The results that must not depend on faults.
std::string outcome(const SimulatedRun& run) {
  std::string text = run.summary.state_sha256 + "\n";
  for (const MetricsRow& row : run.summary.epochs) {
    char line[160];
    std::snprintf(line, sizeof line, "%llu %.9g %.9g %.9g %.9g\n",
                  static_cast<unsigned long long>(row.epoch), row.train_loss, row.train_accuracy,
                  row.test_loss, row.test_accuracy);
    text += line;
  }
  return text + run.probes;
}

using MakeExperiment = Experiment(const std::vector<std::string>& sets);

/// The state after a run without a coordinator, links or files.
std::string plain_state_sha256(const Experiment& experiment, const DataSet& data) {
  SimulatedNetwork plain{experiment, data, {}, 1};
  REQUIRE(plain.run());
  std::vector<CheckpointTensor> tensors;
  for (const LayerSpec& layer : experiment.layers) {
    std::vector<CheckpointTensor> last;
    for (Message& message : plain.reports_of(layer.name)) {
      if (message.header.has_snapshot_part()) last.clear();
      if (message.header.has_tensor())
        last.push_back({layer.name, message.header.tensor().name(), {}, message.body});
    }
    tensors.insert(tensors.end(), last.begin(), last.end());
  }
  return state_sha256(tensors);
}

/// One experiment, run without faults, and with faults that must not change its outcome.
class Trial {
 public:
  Trial(MakeExperiment* make, std::vector<std::string> sets) {
    sets.emplace_back("execution.restarts_max=1000000");
    experiment_ = make(sets);
    data_ = data_of(experiment_);
    SimulatedRun run = FaultyNetwork(experiment_, data_, 0, 0).run();
    REQUIRE(run.ended);
    REQUIRE(run.summary.state_sha256.size() == 64);
    CHECK(plain_state_sha256(experiment_, data_) == run.summary.state_sha256);
    undisturbed_ = outcome(run);
  }

  /// Adds the faults of the run to `faults`, by kind.
  void run(std::uint64_t seed, std::map<std::string, int>& faults) const {
    CAPTURE(seed);
    const int planned = 20 + static_cast<int>(seed % 21);
    try {
      const SimulatedRun run = FaultyNetwork(experiment_, data_, seed, planned).run();
      CHECK(run.ended);  // once the faults have stopped
      CHECK(outcome(run) == undisturbed_);
      for (const auto& [kind, count] : run.faults) faults[kind] += count, faults["all"] += count;
    } catch (const std::exception& error) {
      FAIL_CHECK(std::string(error.what()));
    }
  }

 private:
  Experiment experiment_;
  DataSet data_;
  std::string undisturbed_;
};

/// Runs these networks in turn, each run with the faults of the next seed.
void run_with_faults(MakeExperiment* make, const std::vector<std::vector<std::string>>& networks,
                     std::uint64_t seeds_by_default) {
  const std::uint64_t seeds = from_environment("LATERAL_SIMULATION_SEEDS", seeds_by_default);
  const std::uint64_t first = from_environment("LATERAL_SIMULATION_FIRST_SEED", 1);
  std::vector<std::unique_ptr<Trial>> trials;
  for (const std::vector<std::string>& sets : networks)
    trials.push_back(std::make_unique<Trial>(make, sets));
  std::map<std::string, int> faults;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed)
    trials[seed % trials.size()]->run(seed, faults);
  for (const auto& [kind, count] : faults)
    std::printf("%s: %d in %llu runs\n", kind.c_str(), count,
                static_cast<unsigned long long>(seeds));
  CHECK(faults["all"] >= 20 * static_cast<int>(seeds));
}

TEST_CASE("faults of all kinds change nothing but the time that a run takes") {
  // All kinds of message exchange.
  run_with_faults(
      small_experiment,
      {
          {"recording.checkpoint_interval=2"},
          {"recording.checkpoint_interval=1", "learning.credit=direct_feedback_alignment"},
          {"recording.checkpoint_interval=3", "learning.credit=node_perturbation",
           "decorrelation.mode=settled"},
          {"recording.checkpoint_interval=2", "decorrelation.demean=running",
           "execution.micro_batches=4", "learning.batch_size=128",
           "data.generated.train_samples=300", "learning.credit=feedback_alignment"},
          {"execution.schedule=asynchronous", "execution.staleness=2"},
          {"recording.checkpoint_interval=2", "learning.preconditioner=kfac",
           "learning.optimizer=sgd", "execution.schedule=lockstep"},
      },
      240);
}

TEST_CASE("faults change no result of a graph with skip connections") {
  std::vector<std::vector<std::string>> networks;
  for (const char* credit : {"backpropagation", "feedback_alignment", "direct_feedback_alignment",
                             "node_perturbation", "iterative_perturbation"})
    for (const char* mode : {"closed_form", "settled"})
      networks.push_back({"recording.checkpoint_interval=2",
                          std::string("learning.credit=") + credit,
                          std::string("decorrelation.mode=") + mode});
  networks.push_back({"execution.schedule=asynchronous", "execution.staleness=2"});
  networks.push_back({"recording.checkpoint_interval=1", "learning.preconditioner=kfac",
                      "learning.optimizer=sgd", "execution.schedule=lockstep"});
  networks.push_back({"recording.checkpoint_interval=2", "decorrelation.demean=running",
                      "execution.micro_batches=4", "learning.batch_size=128",
                      "data.generated.train_samples=300"});
  run_with_faults(small_graph, networks, 200);
}

TEST_CASE("a seed replays exactly") {
  const Experiment experiment =
      small_experiment({"recording.checkpoint_interval=2", "execution.restarts_max=1000000"});
  const DataSet data = data_of(experiment);
  const SimulatedRun first = FaultyNetwork(experiment, data, 7, 30).run();
  const SimulatedRun again = FaultyNetwork(experiment, data, 7, 30).run();
  const SimulatedRun other = FaultyNetwork(experiment, data, 8, 30).run();
  CHECK(first.trace == again.trace);
  CHECK(first.faults == again.faults);
  CHECK(first.trace != other.trace);
}

}  // namespace
}  // namespace lateral
