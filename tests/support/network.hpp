// A whole network in one thread, without sockets or clocks: processes and the messages on their
// way.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "nodes/experiment/experiment.hpp"
#include "nodes/process/layer.hpp"
#include "nodes/experiment/topology.hpp"
#include "nodes/process/readout.hpp"
#include "nodes/process/source.hpp"
#include "transport/asio.hpp"

namespace lateral {

struct Sent {
  std::string to;
  Message message;
};

/// Keeps what a process sends.
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

/// What a node does beside its work: the tensors of the snapshots that it has announced follow.
inline void hand_over(Process& process, std::vector<Sent>& sent) {
  const std::size_t said = sent.size();
  for (std::size_t i = 0; i < said; ++i) {
    const wire::SnapshotPart part = sent[i].message.header.snapshot_part();
    for (std::size_t tensor = 0; tensor < part.tensors(); ++tensor)
      sent.push_back({coordinator_name, process.tensor(tensor, part.snapshot())});
  }
}

/// Runs processes in an order drawn from `seed`: at each turn one of those that could do something
/// does it. What must not depend on timing must not depend on the seed.
class SimulatedNetwork {
 public:
  SimulatedNetwork(const Experiment& experiment, const DataSet& data, const Position& position,
                   std::uint64_t seed)
      : order_{seed} {
    const std::vector<NodeSpec> nodes = network_nodes(experiment);
    processes_[source_name] = std::make_unique<SourceProcess>(experiment, data, position);
    for (std::size_t i = 0; i < experiment.layers.size(); ++i)
      processes_[experiment.layers[i].name] = std::make_unique<LayerProcess>(experiment, i);
    processes_[readout_name] = std::make_unique<ReadoutProcess>(experiment, wire::Sums{});
  }

  Process& process(const std::string& name) { return *processes_.at(name); }

  /// Until all have finished, or nobody can go on. Returns whether all have finished.
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
      hand_over(process, out.sent);
      for (Sent& sent : out.sent) {
        most_waiting_ = std::max(most_waiting_, queue(name, sent.to).size() + 1);
        queue(name, sent.to).push_back(std::move(sent.message));
      }
    }
  }

  /// What a node told the coordinator.
  std::deque<Message>& told_by(const std::string& name) { return queue(name, coordinator_name); }

 private:
  std::deque<Message>& queue(const std::string& from, const std::string& to) {
    return queues_[{from, to}];
  }

  std::mt19937_64 order_;
  std::map<std::string, std::unique_ptr<Process>> processes_;
  std::map<std::pair<std::string, std::string>, std::deque<Message>> queues_;
  std::size_t most_waiting_ = 0;
};

/// A small experiment on generated data, with more settings behind it.
inline Experiment small_experiment(const std::vector<std::string>& sets = {}) {
  std::vector<std::string> all{"learning.batch_size=32",
                               "data.generated.train_samples=100",
                               "data.generated.test_samples=40",
                               "data.generated.size=6",
                               "learning.epochs=2",
                               "recording.probe_interval=2"};
  all.insert(all.end(), sets.begin(), sets.end());
  return parse_experiment(R"(
    layer { name: "hidden1" units: 12 }
    layer { name: "hidden2" units: 8 activation: "tanh" }
    layer { name: "output" units: 10 activation: "identity" }
    data { generated {} } learning {} decorrelation { rule: "ahmad2024" learning_rate: 1e-3 } recording {}
  )",
                          "small.textproto", all);
}

inline DataSet data_of(const Experiment& experiment) {
  return experiment.make_data_format()->load("", experiment.generated);
}

}  // namespace lateral
