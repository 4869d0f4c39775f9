// Whole networks of processes in one thread: results do not depend on timing, and networks learn.
#include "tests/support/network.hpp"

#include <doctest/doctest.h>

#include <Eigen/LU>

#include "nodes/base/failure.hpp"

namespace lateral {
namespace {

/// The result of a complete run: the last state that the layers reported, and the sums of each
/// epoch.
struct Result {
  NetworkState state;
  std::vector<wire::EpochResult> epochs;
  std::vector<wire::Progress> steps;
  wire::SnapshotPart last;
};

Result run_to_end(SimulatedNetwork& network, const Experiment& experiment) {
  Result result;
  result.state = state_of(network, experiment);
  for (const Message& message : network.reports_of(readout_name)) {
    if (message.header.has_epoch_result()) result.epochs.push_back(message.header.epoch_result());
    if (message.header.has_progress()) result.steps.push_back(message.header.progress());
    if (message.header.has_snapshot_part()) result.last = message.header.snapshot_part();
  }
  return result;
}

Result run_network(const Experiment& experiment, const DataSet& data, std::uint64_t seed) {
  SimulatedNetwork network{experiment, data, {}, seed};
  CHECK(network.run());
  return run_to_end(network, experiment);
}

TEST_CASE("every credit rule ends with the same bits in every order of execution of the nodes") {
  for (const auto& rule : credit_table())
    for (const char* mode : {"closed_form", "settled"}) {
      CAPTURE(rule.name);
      CAPTURE(mode);
      const Experiment experiment = small_experiment(
          {"learning.credit=" + std::string(rule.name), std::string("decorrelation.mode=") + mode});
      const DataSet data = data_of(experiment);
      const Result first = run_network(experiment, data, 1);
      CHECK(first.epochs.size() == 2);
      CHECK(first.steps.size() == 8);  // 100 samples in batches of 32, twice
      CHECK(first.epochs[0].train().samples() == 100);
      CHECK(first.epochs[1].test().samples() == 40);
      CHECK(first.state.size() > 20);
      for (std::uint64_t seed = 2; seed < 8; ++seed) {
        CAPTURE(seed);
        const Result other = run_network(experiment, data, seed);
        CHECK(other.state == first.state);
        CHECK(other.epochs[1].test().loss() == first.epochs[1].test().loss());
      }
    }
}

TEST_CASE("targets may be the input or the output of a linear teacher") {
  for (const char* target : {"input", "teacher"}) {
    CAPTURE(target);
    const Experiment experiment =
        small_experiment({"data.format=gaussian", "data.generated.inputs=10",
                          std::string("data.target=") + target, "learning.loss=squared_error"});
    const DataSet data = data_of(experiment);
    SourceProcess source{source_plan(experiment), data, {}};
    Collected sent;
    while (sent.sent.size() < 4) source.produce(false, sent);  // after the markers
    const auto at = std::find_if(sent.sent.begin(), sent.sent.end(), [](const Sent& message) {
      return message.message.header.has_target();
    });
    REQUIRE(at != sent.sent.end());
    const auto z = (at + 1)->message.body.values(), t = at->message.body.values();
    CHECK(at->message.header.target().labels_size() == 0);
    REQUIRE(t.size() == z.size());
    const Eigen::Map<const Matrix> inputs(z.data(), 10, 32), targets(t.data(), 10, 32);
    if (experiment.target == Target::input) {
      CHECK(targets == inputs);
    } else {
      // The map is linear: fitted to the first samples, it predicts the others.
      const Matrix map = targets.leftCols(20) * inputs.leftCols(20).transpose() *
                         Matrix(inputs.leftCols(20) * inputs.leftCols(20).transpose()).inverse();
      CHECK((map * inputs - targets).norm() < 1e-3f * targets.norm());
      CHECK((map - Matrix::Identity(10, 10)).norm() > 1);
    }
    const Result all = run_network(experiment, data, 1);
    CHECK(all.epochs[1].train().loss() < all.epochs[0].train().loss());
  }
}

TEST_CASE("probes do not change what is learned") {
  for (const auto& rule : credit_table()) {
    CAPTURE(rule.name);
    const std::string credit = "learning.credit=" + std::string(rule.name);
    const Experiment without = small_experiment({credit, "recording.probe_interval=0"});
    const Experiment with = small_experiment({credit, "recording.probe_interval=1"});
    const DataSet data = data_of(with);
    CHECK(run_network(without, data, 1).state == run_network(with, data, 1).state);
  }
}

TEST_CASE("a stopped network reports its state and, resumed from it, ends with the same bits") {
  const Experiment experiment = small_experiment({"learning.credit=feedback_alignment"});
  const DataSet data = data_of(experiment);
  const Result whole = run_network(experiment, data, 1);
  for (const std::uint64_t turns : {0u, 9u, 30u, 60u, 90u}) {
    CAPTURE(turns);
    SimulatedNetwork first{experiment, data, {}, 3};
    CHECK(first.run(turns));
    const Result stopped = run_to_end(first, experiment);
    CHECK(stopped.last.snapshot().final());

    SimulatedNetwork second{
        experiment, data, {stopped.last.snapshot().step(), stopped.last.snapshot().epoch()}, 4};
    for (const auto& [name, values] : stopped.state) {
      const std::string layer = name.substr(0, name.find('/'));
      const std::string tensor = name.substr(layer.size() + 1);
      for (const Message& message : first.reports_of(layer))
        if (message.header.has_tensor() && message.header.tensor().name() == tensor &&
            std::equal(values.begin(), values.end(), message.body.values().begin()))
          second.process(layer).restore(tensor, copy_of(message));
    }
    for (const LayerSpec& layer : experiment.layers) second.process(layer.name).restored();
    CHECK(second.run());
    CHECK(run_to_end(second, experiment).state == whole.state);
  }
}

/// A tensor of a layer as in a checkpoint: value · I, or all elements equal to value.
Message constant_tensor(Index rows, Index cols, float value, bool identity) {
  Message message;
  message.header.add_shape(static_cast<std::uint32_t>(rows));
  message.header.add_shape(static_cast<std::uint32_t>(cols));
  message.body = Block(static_cast<std::size_t>(rows * cols));
  Eigen::Map<Matrix> values(message.body.data(), cols, rows);
  if (identity)
    values = value * Matrix::Identity(cols, rows);
  else
    values.setConstant(value);
  return message;
}

/// hidden1 responds as usual, but x is so large that neither the gradient of W nor C is finite.
void set_overflowing_weights(SimulatedNetwork& network) {
  network.process("hidden1").restore("decorrelation/R", constant_tensor(36, 36, 1e25f, true));
  network.process("hidden1").restore("weight", constant_tensor(12, 36, 1e-26f, false));
  network.process("output").restore("weight", constant_tensor(10, 8, 1e17f, false));
  network.process("hidden1").restored();
}

TEST_CASE("a gradient that is not finite is reported by its layer, with its step") {
  const Experiment experiment = small_experiment();
  const DataSet data = data_of(experiment);
  for (std::uint64_t seed = 1; seed < 4; ++seed) {
    SimulatedNetwork network{experiment, data, {}, seed};
    set_overflowing_weights(network);
    try {
      network.run();
      FAIL("no error");
    } catch (const NumericsError& e) {
      CAPTURE(e.what());
      CHECK(std::string(e.what()).find("hidden1: gradient of W at step 1 is not finite") == 0);
    }
  }
}

TEST_CASE(
    "learning.diverging: skip leaves the state of a diverging layer unchanged, reports it, and the "
    "network continues") {
  NetworkState reference;
  for (std::uint64_t seed = 1; seed < 4; ++seed)
    for (const char* policy : {"skip", "shorten"}) {
      CAPTURE(policy);
      const Experiment experiment = small_experiment(
          {std::string("learning.diverging=") + policy, "learning.change_max=1000"});
      SimulatedNetwork network{experiment, data_of(experiment), {}, seed};
      set_overflowing_weights(network);
      CHECK(network.run());
      const Result result = run_to_end(network, experiment);
      CHECK(result.steps.size() == 8);
      const auto skipped = [&](const std::string& layer) {
        const auto& reports = network.reports_of(layer);
        return std::count_if(reports.begin(), reports.end(), [](const Message& message) {
          return message.header.probe().probe() == "skipped_step";
        });
      };
      CHECK(skipped("hidden1") == 8);
      CHECK(skipped("hidden2") == 0);
      const std::vector<float>& R = result.state.at("hidden1/decorrelation/R");
      CHECK(R.front() == 1e25f);
      CHECK(result.state.at("hidden1/weight") == std::vector<float>(12 * 36, 1e-26f));
      CHECK(result.state.at("hidden1/decorrelation/mean") == std::vector<float>(36, 0));
      if (reference.empty()) reference = result.state;
      CHECK(result.state == reference);
    }
}

TEST_CASE("evaluation only sends no snapshot") {
  const Experiment experiment = small_experiment();
  SimulatedNetwork network{experiment, data_of(experiment), {.evaluate_only = true}, 1};
  CHECK(network.run());
  const Result result = run_to_end(network, experiment);
  CHECK(result.state.empty());
  REQUIRE(result.epochs.size() == 1);
  CHECK(result.epochs[0].test().samples() == 40);
  CHECK(result.steps.empty());
}

TEST_CASE("networks learn: every rule reduces the training loss on data that it can fit") {
  for (const auto& rule : credit_table()) {
    CAPTURE(rule.name);
    const Experiment experiment = small_experiment(
        {"learning.credit=" + std::string(rule.name), "learning.epochs=60",
         "learning.learning_rate=3e-3", "data.generated.noise=1", "recording.probe_interval=0"});
    const Result result = run_network(experiment, data_of(experiment), 1);
    const double first = result.epochs.front().train().loss(),
                 last = result.epochs.back().train().loss();
    CAPTURE(first);
    CAPTURE(last);
    CHECK(last < (rule.make({})->perturbs() ? 0.97 : 0.6) * first);
  }
}

TEST_CASE("a position that does not fit the data is refused") {
  const Experiment experiment = small_experiment();  // 4 steps an epoch
  const DataSet data = data_of(experiment);
  SourceProcess(source_plan(experiment), data, {8, 2});
  SourceProcess(source_plan(experiment), data, {12, 2});  // trained, not yet evaluated
  CHECK_THROWS_AS(SourceProcess(source_plan(experiment), data, {7, 2}), UserError);
  CHECK_THROWS_AS(SourceProcess(source_plan(experiment), data, {13, 2}), UserError);
  CHECK_THROWS_AS(SourceProcess(source_plan(experiment), data, {3, 4}), UserError);
  CHECK_THROWS_AS(SourceProcess(source_plan(experiment), data, {5, UINT64_MAX}), UserError);
}

TEST_CASE("a batch of one sample with demean: batch is refused, also where the data are smaller") {
  CHECK_THROWS_AS(small_experiment({"learning.batch_size=33"}), UserError);  // 100 = 3 · 33 + 1
  const Experiment experiment = small_experiment({"learning.batch_size=32"});
  DataSet data = data_of(experiment);
  data.train.labels.resize(65);
  data.train.pixels.resize(65 * static_cast<std::size_t>(data.shape.pixels()));
  CHECK_THROWS_AS(SourceProcess(source_plan(experiment), data, {}), UserError);
}

}  // namespace
}  // namespace lateral
