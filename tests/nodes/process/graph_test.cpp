// Networks that are not a chain: the same bits for every timing and micro-batches, and learning.
#include <doctest/doctest.h>

#include "tests/support/network.hpp"

namespace lateral {
namespace {

TEST_CASE("every credit rule works on a graph, with the same bits in every order of execution") {
  for (const auto& rule : credit_table())
    for (const char* mode : {"closed_form", "settled"}) {
      CAPTURE(rule.name);
      CAPTURE(mode);
      const Experiment graph = small_graph(
          {"learning.credit=" + std::string(rule.name), std::string("decorrelation.mode=") + mode});
      const NetworkState first = state_after(graph, 1);
      for (const std::uint64_t order : {2u, 3u}) CHECK(state_after(graph, order) == first);
    }
}

TEST_CASE("schedules and micro-batches change no bit on a graph") {
  for (const char* credit : {"backpropagation", "direct_feedback_alignment", "node_perturbation",
                             "activity_perturbation", "iterative_perturbation"})
    for (const char* preconditioner : {"none", "kfac"}) {
      CAPTURE(credit);
      CAPTURE(preconditioner);
      const std::vector<std::string> sets{std::string("learning.credit=") + credit,
                                          std::string("learning.preconditioner=") + preconditioner,
                                          "decorrelation.demean=running",
                                          "data.generated.train_samples=300",
                                          "learning.batch_size=256",
                                          "recording.probe_interval=1"};
      const NetworkState whole = state_after(small_graph(sets));
      for (const char* other : {"execution.schedule=lockstep", "execution.micro_batches=4",
                                "recording.checkpoint_interval=1"}) {
        CAPTURE(other);
        std::vector<std::string> changed = sets;
        changed.emplace_back(other);
        CHECK(state_after(small_graph(changed), 2) == whole);
      }
    }
}

/// The tensors of a layer's state at the start.
std::map<std::string, Message> tensors_of(const Experiment& experiment, const std::string& layer) {
  LayerProcess process{layer_plan(experiment, layer)};
  Collected out;
  Message snapshot;
  snapshot.header.mutable_snapshot();
  for (const Connection& from : experiment.topology.into(layer)) {
    Message copy;
    copy.header = snapshot.header;
    process.handle(from.from, std::move(copy), out);
  }
  append_tensors(process, out.sent);
  std::map<std::string, Message> tensors;
  for (Sent& sent : out.sent)
    if (sent.message.header.has_tensor())
      tensors[sent.message.header.tensor().name()] = std::move(sent.message);
  return tensors;
}

TEST_CASE("inputs are concatenated in the order in which they are named") {
  // a = x, so that output = (W_a + W_source) x: with the halves of W exchanged the loss stays.
  const Experiment graph =
      small_experiment_of(R"(
    layer { name: "a" units: 6 activation: "identity" }
    layer { name: "output" units: 2 activation: "identity" input: "a" input: "source" }
  )",
                          {"learning.learning_rate=0", "decorrelation.rule=none",
                           "data.format=gaussian", "data.generated.inputs=6", "learning.epochs=1"});
  Message identity = new_batch(6, 6);
  body_of(identity).setIdentity();
  Message zero;
  zero.header.add_shape(6);
  zero.body = Block(6);
  std::fill_n(zero.body.data(), 6, 0.0f);
  const auto loss_with = [&](bool swapped) {
    SimulatedNetwork one{graph, data_of(graph), {}, 1};
    one.process("a").restore("weight", copy_of(identity));
    one.process("a").restore("bias", copy_of(zero));
    one.process("a").restored();
    Message weight = copy_of(tensors_of(graph, "output").at("weight"));
    if (swapped)
      for (int row = 0; row < 2; ++row)
        std::swap_ranges(weight.body.data() + row * 12, weight.body.data() + row * 12 + 6,
                         weight.body.data() + row * 12 + 6);
    one.process("output").restore("weight", std::move(weight));
    one.process("output").restored();
    REQUIRE(one.run());
    for (const Message& message : one.reports_of(readout_name))
      if (message.header.has_epoch_result()) return message.header.epoch_result().test().loss();
    return 0.0;
  };
  CHECK(loss_with(false) > 0);
  CHECK(loss_with(true) == doctest::Approx(loss_with(false)).epsilon(1e-5));
}

TEST_CASE("graphs learn: every rule reduces the training loss on data that it can fit") {
  for (const auto& rule : credit_table()) {
    CAPTURE(rule.name);
    const Experiment experiment = small_graph(
        {"learning.credit=" + std::string(rule.name), "learning.epochs=60",
         "learning.learning_rate=3e-3", "data.generated.noise=1", "recording.probe_interval=0"});
    SimulatedNetwork network{experiment, data_of(experiment), {}, 1};
    REQUIRE(network.run());
    std::vector<double> losses;
    for (const Message& message : network.reports_of(readout_name))
      if (message.header.has_epoch_result())
        losses.push_back(message.header.epoch_result().train().loss());
    REQUIRE(losses.size() == 60);
    CHECK(losses.back() < (rule.make({})->perturbs() ? 0.97 : 0.6) * losses.front());
  }
}

TEST_CASE("messages of different positions in the stream are refused") {
  const Experiment graph = small_graph();
  const auto activity = [](Index rows, std::uint64_t step) {
    Message message = batch_message(Matrix::Constant(rows, 32, 0.5f));
    message.header.mutable_activity()->set_step(step);
    message.header.mutable_activity()->set_batch(32);
    message.header.mutable_activity()->set_epoch(1);
    return message;
  };
  LayerProcess layer{layer_plan(graph, "hidden3")};
  Collected out;
  CHECK(layer.next().peer == "source");
  layer.handle("source", activity(36, 1), out);
  CHECK(layer.next().peer == "hidden2");
  CHECK_THROWS_AS(layer.handle("hidden2", activity(12, 2), out), system_error);
  Message marker;
  marker.header.mutable_epoch_end();
  CHECK_THROWS_AS(layer.handle("hidden2", std::move(marker), out), system_error);
  CHECK(out.sent.empty());
  layer.handle("hidden2", activity(12, 1), out);
  CHECK(layer.next().peer == "hidden1");
  CHECK(out.sent.empty());
  layer.handle("hidden1", activity(12, 1), out);
  REQUIRE(out.sent.size() == 1);
  CHECK(out.sent[0].to == "output");
}

}  // namespace
}  // namespace lateral
