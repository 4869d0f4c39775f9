// Coordinator: whose messages count, and which lost nodes are replaced.
#include "nodes/coordinator/coordinator.hpp"

#include <doctest/doctest.h>

#include "nodes/base/failure.hpp"
#include "nodes/base/name.hpp"
#include "nodes/results/progress.hpp"
#include "tests/support/network.hpp"

namespace lateral {
namespace {

/// A coordinator without a directory, and the messages that it sends.
struct Fixture {
  Experiment experiment = small_experiment();
  RunPlan plan;
  Progress progress{Progress::Style::quiet, 1};
  Coordinator coordinator{experiment, plan, progress, true};
  Collected out;

  /// Each node sends this message.
  void send_from_all(const std::function<void(wire::Header&)>& fill) {
    for (const NodeSpec& node : experiment.topology.nodes()) {
      Message message;
      fill(message.header);
      CHECK(coordinator.handle(node.name, 0, std::move(message), out));
    }
  }
  /// All nodes join and the run begins.
  void begin() {
    send_from_all([](wire::Header& header) { header.mutable_listening(); });
    send_from_all([](wire::Header& header) { header.mutable_prepared(); });
    send_from_all([](wire::Header& header) { header.mutable_ready(); });
    CHECK(coordinator.has_begun());
  }
};

TEST_CASE("messages of a process that has been replaced are dropped") {
  Fixture f;
  CHECK(f.coordinator.replace("hidden1", "was killed").generation == 1);
  const auto handle = [&](std::uint32_t generation) {
    Message message;
    message.header.mutable_listening();
    return f.coordinator.handle("hidden1", generation, std::move(message), f.out);
  };
  CHECK_FALSE(handle(0));
  CHECK(handle(1));
}

TEST_CASE("the source is replaced only before it has been asked to stop") {
  for (const bool is_stopped : {false, true}) {
    CAPTURE(is_stopped);
    Fixture f;
    f.begin();
    if (is_stopped) {
      f.coordinator.stop(f.out);
      CHECK(f.out.sent.back().to == source_name);
      CHECK(f.out.sent.back().message.header.has_stop());
    }
    const Coordinator::Replacement replacement = f.coordinator.replace(source_name, "was killed");
    CHECK(replacement.generation.has_value() == !is_stopped);
    CHECK(replacement.refusal.empty() == !is_stopped);
    CHECK(f.coordinator.replace("hidden1", "was killed").generation == 1);
  }
}

/// The end of an epoch in which the training loss was `loss` on average.
Message epoch_with(std::uint64_t epoch, double loss) {
  Message message;
  message.header.set_report(epoch + 1);
  wire::EpochResult& result = *message.header.mutable_epoch_result();
  result.set_epoch(epoch);
  for (wire::Sums* sums : {result.mutable_train(), result.mutable_test()}) {
    sums->set_loss(loss * 100);
    sums->set_samples(100);
  }
  return message;
}

TEST_CASE("a training loss ten thousand times that of the first batch ends the run as diverged") {
  Fixture f;
  f.begin();
  Message progress;
  progress.header.set_report(1);
  progress.header.mutable_progress()->set_step(1);
  progress.header.mutable_progress()->set_epoch(1);
  progress.header.mutable_progress()->set_samples(10);
  progress.header.mutable_progress()->set_loss_sum(30);  // 3 a sample: the limit is 3e4
  f.coordinator.handle(readout_name, 0, std::move(progress), f.out);
  CHECK_NOTHROW(f.coordinator.handle(readout_name, 0, epoch_with(1, 2.9e4), f.out));
  CHECK_THROWS_AS(f.coordinator.handle(readout_name, 0, epoch_with(2, 3.1e4), f.out),
                  NumericsError);
}

}  // namespace
}  // namespace lateral
