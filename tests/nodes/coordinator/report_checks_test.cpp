// ReportChecks: what a node may not send, and how much the coordinator holds of a node that sends
// whatever it likes.
#include "nodes/coordinator/report_checks.hpp"

#include <doctest/doctest.h>
#include <malloc.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <random>

#include "nodes/base/failure.hpp"
#include "nodes/base/name.hpp"
#include "nodes/coordinator/coordinator.hpp"
#include "nodes/results/progress.hpp"
#include "tests/support/network.hpp"
#include "transport/error.hpp"

namespace lateral {
namespace {

using Fill = std::function<void(Message&)>;

/// A coordinator whose network has begun.
class Begun {
 public:
  explicit Begun(const Experiment& experiment)
      : experiment_{experiment}, coordinator_{experiment_, plan_, progress_, true} {
    for (const int stage : {0, 1, 2})
      for (const NodeSpec& node : experiment_.topology.nodes()) {
        Message message;
        if (stage == 0) message.header.mutable_listening();
        if (stage == 1) message.header.mutable_prepared();
        if (stage == 2) message.header.mutable_ready();
        coordinator_.handle(node.name, 0, std::move(message), out_);
      }
    REQUIRE(coordinator_.has_begun());
  }
  /// The next report of a node.
  void report(const std::string& node, const Fill& fill) {
    Message message;
    fill(message);
    message.header.set_report(++reports_[node]);
    handle(node, std::move(message));
  }
  void handle(const std::string& node, Message message) {
    coordinator_.handle(node, 0, std::move(message), out_);
    out_.sent.clear();
  }
  std::string refusal_of_report(const std::string& node, const Fill& fill) {
    return refusal([&] { report(node, fill); });
  }
  std::string refusal_of(const std::string& node, const Fill& fill) {
    Message message;
    fill(message);
    return refusal([&] { handle(node, std::move(message)); });
  }

 private:
  static std::string refusal(const std::function<void()>& call) {
    try {
      call();
    } catch (const boost::system::system_error& error) {
      CHECK(error.code() == TransportError::unexpected_message);
      return error.what();
    }
    return "";
  }

  const Experiment& experiment_;
  RunPlan plan_;
  Progress progress_{Progress::Style::quiet, 1};
  Coordinator coordinator_;
  Collected out_;
  std::map<std::string, std::uint64_t> reports_;
};

void set_tensor(Message& message, const TensorSpec& spec, const wire::Snapshot& snapshot) {
  message.header.mutable_tensor()->set_name(spec.name);
  *message.header.mutable_tensor()->mutable_snapshot() = snapshot;
  for (const Index extent : spec.shape)
    message.header.add_shape(static_cast<std::uint32_t>(extent));
  message.body = Block(static_cast<std::size_t>(values_of(spec)));
}

wire::SnapshotPart& set_part(Message& message, std::uint64_t step, std::size_t tensors) {
  wire::SnapshotPart& part = *message.header.mutable_snapshot_part();
  part.mutable_snapshot()->set_step(step);
  part.set_tensors(static_cast<std::uint32_t>(tensors));
  return part;
}

TEST_CASE("a message that the experiment does not imply is refused, with the node and the reason") {
  const Experiment experiment = small_experiment();
  const std::vector<TensorSpec> specs = experiment.tensors(experiment.layer("hidden1"));
  const auto refused_report = [&](const std::string& node, const Fill& fill) {
    Begun run{experiment};
    return run.refusal_of_report(node, fill);
  };
  const auto refused = [&](const std::string& node, const Fill& fill) {
    Begun run{experiment};
    return run.refusal_of(node, fill);
  };
  const auto contains = [](const std::string& text, const std::string& part) {
    CAPTURE(text);
    return text.find(part) != std::string::npos;
  };
  CHECK(refused_report("hidden1", [&](Message& m) { set_part(m, 1, specs.size()); }).empty());
  CHECK(contains(refused_report("hidden1", [&](Message& m) { set_part(m, 1, 1000); }),
                 "from hidden1: a snapshot of 1000 tensors"));
  CHECK(contains(refused_report(source_name, [&](Message& m) { set_part(m, 1, 1); }),
                 "a snapshot of 1 tensors, expected 0"));
  CHECK(contains(refused_report("hidden1",
                                [&](Message& m) {
                                  set_part(m, 1, specs.size()).add_counts()->set_peer("nobody");
                                }),
                 "a count of messages with 'nobody'"));
  CHECK(contains(refused_report("hidden1",
                                [&](Message& m) {
                                  wire::SnapshotPart& part = set_part(m, 1, specs.size());
                                  part.add_counts()->set_peer(source_name);
                                  part.add_counts()->set_peer(source_name);
                                }),
                 "a count of messages with 'source'"));
  CHECK(contains(
      refused_report("hidden1", [&](Message& m) { set_part(m, 1ULL << 60, specs.size()); }),
      "a snapshot of step 1152921504606846976"));
  CHECK(contains(refused_report("hidden1",
                                [&](Message& m) {
                                  set_part(m, 1, specs.size()).mutable_snapshot()->set_final(true);
                                }),
                 "the final snapshot after epoch 0"));
  CHECK(contains(refused_report("hidden1", [](Message& m) { m.header.mutable_finished(); }),
                 "expected its final state first"));
  CHECK(contains(refused_report("hidden1", [](Message& m) { m.header.mutable_progress(); }),
                 "a training step"));
  CHECK(contains(refused_report(readout_name,
                                [](Message& m) {
                                  m.header.mutable_progress()->set_step(2);
                                  m.header.mutable_progress()->set_epoch(1);
                                }),
                 "expected step 1"));
  CHECK(contains(refused_report(readout_name,
                                [](Message& m) { m.header.mutable_epoch_result()->set_epoch(2); }),
                 "results of epoch 2, expected 1"));
  CHECK(contains(
      refused_report("hidden1", [](Message& m) { m.header.mutable_probe()->set_probe("a,b\n"); }),
      "a probe without a name"));
  CHECK(contains(
      refused_report("hidden1", [](Message& m) { m.header.mutable_recorded()->set_record("r"); }),
      "a row of a record"));
  CHECK(contains(refused("hidden1", [](Message& m) { m.header.mutable_progress(); }),
                 "report number 0, expected one"));
  CHECK(contains(refused("hidden1", [](Message& m) { m.header.mutable_listening(); }),
                 "does not belong to this state"));
  CHECK(contains(refused(readout_name, [&](Message& m) { set_tensor(m, specs[0], {}); }),
                 "a tensor, expected none"));
}

TEST_CASE("tensors are accepted in the order and the shapes of the state alone") {
  const Experiment experiment = small_experiment();
  const std::vector<TensorSpec> specs = experiment.tensors(experiment.layer("hidden1"));
  REQUIRE(specs.size() >= 2);
  wire::Snapshot snapshot;
  snapshot.set_step(1);
  Begun run{experiment};
  run.report("hidden1", [&](Message& m) { set_part(m, 1, specs.size()); });
  const auto refusal = [&](const TensorSpec& spec) {
    return run.refusal_of("hidden1", [&](Message& m) { set_tensor(m, spec, snapshot); });
  };
  TensorSpec invented = specs[0];
  invented.name = "invented";
  TensorSpec wide = specs[0];
  wide.shape[0] += 1;
  CHECK(refusal(invented).find("tensor 'invented', expected '" + specs[0].name) !=
        std::string::npos);
  CHECK(refusal(wide) != "");
  CHECK(refusal(specs[1]) != "");
  CHECK(refusal(specs[0]) == "");
  CHECK(refusal(specs[0]) == "");  // again, as a replacement sends it
  CHECK(refusal(specs[1]) == "");
}

TEST_CASE("snapshots that wait for other nodes are limited in number") {
  Experiment experiment = small_experiment();
  experiment.epochs = 100;
  const std::size_t tensors = experiment.tensors(experiment.layer("hidden1")).size();
  Begun run{experiment};
  std::uint64_t step = 0;
  const auto refusal = [&] {
    ++step;
    return run.refusal_of_report("hidden1", [&](Message& m) {
      set_part(m, step / 2, tensors).mutable_snapshot()->set_epoch(step);
    });
  };
  const std::size_t limit =
      snapshots_ahead_max + static_cast<std::size_t>(experiment.steps_in_flight);
  for (std::size_t i = 0; i < limit; ++i) REQUIRE(refusal() == "");
  CHECK(refusal().find(std::to_string(limit) + " wait for other nodes") != std::string::npos);
}

/// Sends what an honest node of this name may send, as fast as it can, and lies now and then.
class CompromisedNode {
 public:
  ///   lies: of a thousand messages
  CompromisedNode(const Experiment& experiment, std::string node, std::uint64_t seed,
                  std::uint64_t lies)
      : node_{std::move(node)}, random_{seed}, lies_{lies} {
    for (const LayerSpec& layer : experiment.layers)
      if (layer.name == node_) specs_ = experiment.tensors(layer);
    tensor_ = specs_.size();
  }
  Message next() {
    Message message;
    wire::Header& header = message.header;
    header.set_report(++reports_);
    if (random_() % 1000 < lies_) {
      lie(message);
    } else if (tensor_ < specs_.size() && random_() % 8 != 0) {
      header.set_report(0);
      --reports_;
      set_tensor(message, specs_[tensor_++], snapshot_);
    } else if (!specs_.empty() && random_() % 4 == 0) {
      header.mutable_probe()->set_probe("gain");
      header.mutable_probe()->set_step(++probe_step_);
    } else if (node_ == readout_name && random_() % 2 == 0) {
      wire::Progress& progress = *header.mutable_progress();
      progress.set_step(++step_);
      progress.set_epoch(1);
      progress.set_samples(1);
    } else {
      wire::SnapshotPart& part = set_part(message, ++snapshots_, specs_.size());
      if (node_ != source_name)
        part.add_counts()->set_peer(node_ == "hidden1" ? "source" : "output");
      snapshot_ = part.snapshot();
      tensor_ = 0;
    }
    return message;
  }

 private:
  void lie(Message& message) {
    wire::Header& header = message.header;
    const std::uint64_t odd = random_() >> (random_() % 64);
    switch (random_() % 12) {
      case 0:
        return set_part(message, odd, specs_.size()).mutable_snapshot()->set_epoch(odd);
      case 1:
        return set_part(message, ++snapshots_, specs_.size()).mutable_snapshot()->set_final(true);
      case 2: {
        wire::SnapshotPart& part = set_part(message, ++snapshots_, specs_.size());
        for (int i = 0; i < 2000; ++i) part.add_counts();
        return;
      }
      case 3:
        return set_tensor(message, {std::string(odd % 9000, 'x'), TensorRole::other, {3}},
                          snapshot_);
      case 4: {
        TensorSpec wide{"weight", TensorRole::weight, {100, 100}};
        header.set_report(0);
        return set_tensor(message, wide, snapshot_);
      }
      case 5:
        return header.mutable_probe()->set_probe(std::string(odd % 9000, '\n'));
      case 6:
        return header.mutable_probe()->set_step(odd);
      case 7:
        return header.mutable_progress()->set_step(odd);
      case 8:
        return header.mutable_epoch_result()->set_epoch(odd);
      case 9:
        header.mutable_finished();
        return;
      case 10:
        header.set_report(0);
        return header.mutable_listening()->set_address(std::string(odd % 9000, 'a'));
      default:
        return header.set_report(odd);
    }
  }

  std::string node_;
  std::mt19937_64 random_;
  std::uint64_t lies_;
  std::vector<TensorSpec> specs_;
  wire::Snapshot snapshot_;
  std::uint64_t reports_ = 0, step_ = 0, probe_step_ = 0, snapshots_ = 0;
  std::size_t tensor_ = 0;
};

/// LATERAL_FUZZ_MESSAGES is the number of messages (default 20000).
TEST_CASE(
    "whatever one node sends, the coordinator holds no more than its bound, and does not fail") {
  const char* const given = std::getenv("LATERAL_FUZZ_MESSAGES");
  const std::uint64_t messages_max = given == nullptr ? 20000 : std::stoull(given);
  Experiment experiment = small_experiment();
  experiment.epochs = 100000;
  std::uint64_t messages = 0, refused = 0, longest = 0;
  double largest_share = 0;
  for (std::uint64_t seed = 0; messages < messages_max; ++seed) {
    const std::vector<NodeSpec>& nodes = experiment.topology.nodes();
    const std::string node = nodes[seed % nodes.size()].name;
    const std::uint64_t lies = std::array<std::uint64_t, 4>{0, 2, 20, 200}[seed / nodes.size() % 4];
    const std::uint64_t bound = bytes_held_max(experiment, node);
    Begun run{experiment};
    CompromisedNode compromised{experiment, node, seed, lies};
    const std::size_t before = ::mallinfo2().uordblks;
    try {
      for (std::uint64_t n = 1; n <= 20000; ++n) {
        Message message = compromised.next();
        ++messages;
        run.handle(node, std::move(message));
        longest = std::max(longest, n);
        const std::size_t now = ::mallinfo2().uordblks;
        if (now < before) continue;
        largest_share =
            std::max(largest_share, static_cast<double>(now - before) / static_cast<double>(bound));
        REQUIRE(now <= before + bound);
      }
    } catch (const boost::system::system_error& error) {
      CHECK(error.code().category() == transport_category());
      ++refused;
    }
  }
  MESSAGE(messages << " messages, " << refused << " runs ended by a refusal, at most " << longest
                   << " messages before it; held at most " << largest_share << " of the bound");
  CHECK(refused > 0);
  CHECK(longest > 50);
  CHECK(largest_share > 0);
}

TEST_CASE("an honest node's messages fit the limits of its frames") {
  const Experiment experiment = small_experiment();
  CHECK(report_limits(experiment, readout_name).body_bytes_max == 0);
  std::size_t largest = 0;
  for (const TensorSpec& spec : experiment.tensors(experiment.layer("hidden1")))
    largest = std::max(largest, static_cast<std::size_t>(values_of(spec)) * sizeof(float));
  CHECK(report_limits(experiment, "hidden1").body_bytes_max >= largest);
  Message failure;
  failure.header.mutable_failed()->set_exit_code(2);
  failure.header.mutable_failed()->set_message(std::string(failure_text_bytes_max, 'x'));
  Message listening;
  listening.header.mutable_listening()->set_address(std::string(address_bytes_max, 'x'));
  for (const NodeSpec& node : experiment.topology.nodes())
    for (const Message* message : {&failure, &listening})
      CHECK(message->header.ByteSizeLong() <=
            report_limits(experiment, node.name).header_bytes_max);
  CHECK(report_limits(experiment, source_name).header_bytes_max >
        report_limits(experiment, readout_name).header_bytes_max);
}

}  // namespace
}  // namespace lateral
