// Whatever goes wrong with nodes, links and disks, a run ends, and in the bits of one that nothing
// happened to. More seeds by hand: LATERAL_SIMULATION_SEEDS=10000; one again: …_FIRST_SEED=N,
// SEEDS=1.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

#include "tests/support/faulty_network.hpp"

namespace lateral {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// What must not depend on what goes wrong.
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

/// Every way in which messages go round.
const std::vector<std::vector<std::string>> networks{
    {"recording.checkpoint_interval=2"},
    {"recording.checkpoint_interval=1", "learning.credit=direct_feedback_alignment"},
    {"recording.checkpoint_interval=3", "learning.credit=node_perturbation",
     "decorrelation.mode=settled"},
    {"recording.checkpoint_interval=2", "decorrelation.demean=running", "execution.micro_batches=4",
     "learning.batch_size=128", "data.generated.train_samples=300",
     "learning.credit=feedback_alignment"},
    {"execution.schedule=asynchronous", "execution.staleness=2"},
    {"recording.checkpoint_interval=2", "learning.preconditioner=kfac", "learning.optimizer=sgd",
     "execution.schedule=lockstep"},
};

TEST_CASE("faults of all kinds change nothing but the time that a run takes") {
  const std::uint64_t seeds = from_environment("LATERAL_SIMULATION_SEEDS", 240);
  const std::uint64_t first = from_environment("LATERAL_SIMULATION_FIRST_SEED", 1);
  std::vector<Experiment> experiments;
  std::vector<DataSet> data;
  std::vector<std::string> undisturbed;
  for (std::vector<std::string> sets : networks) {
    sets.emplace_back("execution.restarts_max=1000000");
    experiments.push_back(small_experiment(sets));
    data.push_back(data_of(experiments.back()));
  }
  for (std::size_t i = 0; i < networks.size(); ++i) {
    SimulatedRun run = FaultyNetwork(experiments[i], data[i], 0, 0).run();
    REQUIRE(run.ended);
    REQUIRE(run.summary.state_sha256.size() == 64);
    undisturbed.push_back(outcome(run));
    // The oracle of the oracle: no coordinator, no links, no files.
    SimulatedNetwork plain{experiments[i], data[i], {}, 1};
    REQUIRE(plain.run());
    std::vector<CheckpointTensor> tensors;
    for (const LayerSpec& layer : experiments[i].layers) {
      std::vector<CheckpointTensor> last;
      for (Message& message : plain.told_by(layer.name)) {
        if (message.header.has_snapshot_part()) last.clear();
        if (message.header.has_tensor())
          last.push_back({layer.name, message.header.tensor().name(), {}, message.body});
      }
      tensors.insert(tensors.end(), last.begin(), last.end());
    }
    CHECK(state_sha256(tensors) == run.summary.state_sha256);
  }
  std::map<std::string, int> faults;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    CAPTURE(seed);
    const std::size_t i = seed % networks.size();
    const int planned = 20 + static_cast<int>(seed % 21);
    SimulatedRun run;
    try {
      run = FaultyNetwork(experiments[i], data[i], seed, planned).run();
    } catch (const std::exception& error) {
      FAIL_CHECK(std::string(error.what()));
      continue;
    }
    CHECK(run.ended);  // once the faults have stopped
    CHECK(outcome(run) == undisturbed[i]);
    for (const auto& [kind, count] : run.faults) faults[kind] += count, faults["all"] += count;
  }
  for (const auto& [kind, count] : faults)
    std::printf("%s: %d in %llu runs\n", kind.c_str(), count,
                static_cast<unsigned long long>(seeds));
  CHECK(faults["all"] >= 20 * static_cast<int>(seeds));
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
