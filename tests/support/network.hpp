// A whole network in one thread, without sockets or clocks: processes and the messages in flight.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "nodes/experiment/experiment.hpp"
#include "nodes/experiment/plan.hpp"
#include "nodes/process/convert.hpp"
#include "nodes/process/layer.hpp"
#include "nodes/process/readout.hpp"
#include "nodes/process/source.hpp"
#include "transport/asio.hpp"

namespace lateral {

struct Sent {
  std::string to;
  Message message;
};

/// Stores the messages that a process sends.
struct Collected final : Outbox {
  std::vector<Sent> sent;
  void send(const std::string& peer, Message message) override {
    sent.push_back({peer, std::move(message)});
  }
};

inline Message copy_of(const Message& message) {
  Message copy;
  copy.header = message.header;
  copy.body = Block(message.body.size());
  std::copy(message.body.values().begin(), message.body.values().end(), copy.body.data());
  return copy;
}

/// A message with a batch as its body; the content of the header is set by the caller.
inline Message batch_message(ConstMatrixRef batch) {
  Message message = new_batch(batch.rows(), batch.cols());
  body_of(message) = batch;
  return message;
}

inline void set_signal(Message& message, wire::Signal::Kind kind, std::uint64_t step,
                       std::uint32_t first_sample = 0) {
  message.header.mutable_signal()->set_kind(kind);
  message.header.mutable_signal()->set_step(step);
  message.header.mutable_signal()->set_first_sample(first_sample);
}

/// As a node does: adds the tensors of announced snapshots to the sent messages.
inline void append_tensors(Process& process, std::vector<Sent>& sent) {
  const std::size_t messages = sent.size();
  for (std::size_t i = 0; i < messages; ++i) {
    const wire::SnapshotPart part = sent[i].message.header.snapshot_part();
    for (std::size_t tensor = 0; tensor < part.tensors(); ++tensor)
      sent.push_back({coordinator_name, process.tensor(tensor, part.snapshot())});
  }
}

/// Runs processes in an order drawn from `seed`: at each turn one of the processes that can
/// continue does so. Results that must not depend on timing must not depend on the seed.
class SimulatedNetwork {
 public:
  SimulatedNetwork(const Experiment& experiment, const DataSet& data, const Position& position,
                   std::uint64_t seed)
      : order_{seed} {
    processes_[source_name] =
        std::make_unique<SourceProcess>(source_plan(experiment), data, position);
    for (const std::string& layer : experiment.topology.layers())
      processes_[layer] = std::make_unique<LayerProcess>(layer_plan(experiment, layer));
    processes_[readout_name] =
        std::make_unique<ReadoutProcess>(readout_plan(experiment), wire::Sums{});
  }

  Process& process(const std::string& name) { return *processes_.at(name); }

  /// Runs until all have finished, or none can continue. Returns whether all have finished.
  bool run(std::uint64_t stop_after_turns = UINT64_MAX) {
    for (std::uint64_t turn = 0;; ++turn) {
      std::vector<std::string> able;
      bool all_finished = true;
      for (const auto& [name, process] : processes_) {
        const Next next = process->next();
        all_finished = all_finished && next.kind == Next::Kind::finished;
        if (next.kind == Next::Kind::produce ||
            (next.kind == Next::Kind::receive && !queue(next.peer, name).empty()))
          able.push_back(name);
      }
      if (able.empty()) return all_finished;
      const std::string name = able[order_() % able.size()];
      Process& process = *processes_.at(name);
      const Next next = process.next();
      Collected out;
      if (next.kind == Next::Kind::produce) {
        process.produce(turn >= stop_after_turns, out);
      } else {
        Message message = std::move(queue(next.peer, name).front());
        queue(next.peer, name).pop_front();
        process.handle(next.peer, std::move(message), out);
      }
      append_tensors(process, out.sent);
      for (Sent& sent : out.sent) {
        most_waiting_ = std::max(most_waiting_, queue(name, sent.to).size() + 1);
        queue(name, sent.to).push_back(std::move(sent.message));
      }
    }
  }

  /// The reports of a node to the coordinator.
  std::deque<Message>& reports_of(const std::string& name) { return queue(name, coordinator_name); }

 private:
  std::deque<Message>& queue(const std::string& from, const std::string& to) {
    return queues_[{from, to}];
  }

  std::mt19937_64 order_;
  std::map<std::string, std::unique_ptr<Process>> processes_;
  std::map<std::pair<std::string, std::string>, std::deque<Message>> queues_;
  std::size_t most_waiting_ = 0;
};

/// The values of all tensors of the layers, by "LAYER/TENSOR".
using NetworkState = std::map<std::string, std::vector<float>>;

/// An experiment of these layers on small generated data, with additional settings.
inline Experiment small_experiment_of(const std::string& layers,
                                      const std::vector<std::string>& sets = {}) {
  std::vector<std::string> all{"learning.batch_size=32",
                               "data.generated.train_samples=100",
                               "data.generated.test_samples=40",
                               "data.generated.size=6",
                               "learning.epochs=2",
                               "recording.probe_interval=2"};
  all.insert(all.end(), sets.begin(), sets.end());
  return parse_experiment(layers + R"(
    data { generated {} } learning {} decorrelation { rule: "ahmad2024" learning_rate: 1e-3 } recording {}
  )",
                          "small.textproto", all);
}

/// A chain of three layers.
inline Experiment small_experiment(const std::vector<std::string>& sets = {}) {
  return small_experiment_of(R"(
    layer { name: "hidden1" units: 12 }
    layer { name: "hidden2" units: 8 activation: "tanh" }
    layer { name: "output" units: 10 activation: "identity" }
  )",
                             sets);
}

/// All kinds of connections: a layer that is both input and added, several inputs, the source and a
/// layer as inputs, a layer that is only added, a layer with three readers.
inline Experiment small_graph(const std::vector<std::string>& sets = {}) {
  return small_experiment_of(R"(
    layer { name: "hidden1" units: 12 }
    layer { name: "hidden2" units: 12 activation: "tanh" input: "hidden1" add: "hidden1" }
    layer { name: "hidden3" units: 12 input: "source" input: "hidden2" add: "hidden1" }
    layer { name: "output" units: 10 activation: "identity" input: "hidden1" input: "hidden3" }
  )",
                             sets);
}

inline DataSet data_of(const Experiment& experiment) {
  return experiment.make_data_format()->load(experiment.data);
}

/// The state that the layers have reported last.
inline NetworkState state_of(SimulatedNetwork& network, const Experiment& experiment) {
  NetworkState state;
  for (const LayerSpec& layer : experiment.layers)
    for (const Message& message : network.reports_of(layer.name))
      if (message.header.has_tensor())
        state[layer.name + "/" + message.header.tensor().name()] = {message.body.values().begin(),
                                                                    message.body.values().end()};
  return state;
}

/// The state of the network after its training.
///   order: seed of the order in which processes act
inline NetworkState state_after(const Experiment& experiment, std::uint64_t order = 1) {
  SimulatedNetwork network{experiment, data_of(experiment), {}, order};
  REQUIRE(network.run());
  NetworkState state = state_of(network, experiment);
  REQUIRE(state.size() > 8);
  return state;
}

}  // namespace lateral
