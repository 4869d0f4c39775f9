// Messages to the readout and the messages that it sends in response.
#include "nodes/process/readout.hpp"

#include <doctest/doctest.h>

#include "tests/support/network.hpp"

namespace lateral {
namespace {

Message target(std::uint64_t step, std::vector<std::uint32_t> labels,
               wire::Pass pass = wire::train) {
  Message message;
  wire::Target& fields = *message.header.mutable_target();
  fields.set_step(step);
  fields.set_epoch(1);
  fields.set_pass(pass);
  fields.mutable_labels()->Assign(labels.begin(), labels.end());
  fields.set_batch(static_cast<std::uint32_t>(labels.size()));
  return message;
}
Message output(const Matrix& y, std::uint64_t step, wire::Pass pass = wire::train) {
  Message message = batch_message(y);
  message.header.mutable_activity()->set_step(step);
  message.header.mutable_activity()->set_pass(pass);
  return message;
}
Matrix two_outputs() {
  Matrix y = Matrix::Zero(10, 2);
  y(3, 0) = 5;  // right
  y(4, 1) = 5;  // wrong
  return y;
}

struct ReadoutFixture {
  explicit ReadoutFixture(const std::vector<std::string>& sets = {})
      : experiment{small_experiment(sets)}, readout{readout_plan(experiment), {}} {}
  std::vector<Sent> deliver(const std::string& peer, Message message) {
    Collected out;
    readout.handle(peer, std::move(message), out);
    return std::move(out.sent);
  }
  Experiment experiment;
  ReadoutProcess readout;
};

TEST_CASE("the readout answers an output with its error, and counts loss and correct answers") {
  ReadoutFixture c;
  CHECK(c.readout.next().peer == source_name);
  CHECK(c.deliver(source_name, target(2, {3, 7})).empty());
  CHECK(c.readout.next().peer == "output");
  const auto sent = c.deliver("output", output(two_outputs(), 2));
  REQUIRE(sent.size() == 2);
  CHECK(sent[0].to == "output");
  REQUIRE(sent[0].message.header.signal().kind() == wire::Signal::error);
  const BatchView e = batch_view(sent[0].message, "readout", 10, 2, 2);
  const double p = std::exp(5.0) / (std::exp(5.0) + 9);
  CHECK(e(3, 0) == doctest::Approx(p - 1));
  CHECK(e(7, 1) == doctest::Approx(1 / (std::exp(5.0) + 9) - 1));
  CHECK(sent[1].to == coordinator_name);
  CHECK(sent[1].message.header.progress().correct() == 1);
  CHECK(sent[1].message.header.progress().samples() == 2);

  Message end;
  end.header.mutable_epoch_end()->set_epoch(1);
  const auto result = c.deliver(source_name, std::move(end));
  REQUIRE(result.size() == 1);
  const wire::Sums& train = result[0].message.header.epoch_result().train();
  CHECK(train.loss() == doctest::Approx(-std::log(p) + std::log(std::exp(5.0) + 9)));
  CHECK(train.correct() == 1);
  CHECK(train.samples() == 2);
}

TEST_CASE("direct feedback alignment: the output error goes to every layer") {
  ReadoutFixture c{{"learning.credit=direct_feedback_alignment", "recording.probe_interval=0"}};
  c.deliver(source_name, target(1, {3, 7}));
  const auto sent = c.deliver("output", output(two_outputs(), 1));
  REQUIRE(sent.size() == 4);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(sent[i].to == c.experiment.layers[i].name);
    CHECK(sent[i].message.header.signal().kind() == wire::Signal::output_error);
    CHECK(sent[i].message.body.data() == sent[0].message.body.data());  // one body for all
  }
}

TEST_CASE(
    "node perturbation: the reward is the difference of the losses, and not lost to rounding") {
  ReadoutFixture c{{"learning.credit=node_perturbation", "recording.probe_interval=0"}};
  c.deliver(source_name, target(1, {3, 7}));
  CHECK(c.deliver("output", output(two_outputs(), 1)).empty());
  CHECK(c.readout.next().peer == "output");
  Matrix d = Matrix::Zero(10, 2);
  d(3, 0) = 1e-9f;  // far below the rounding of 5
  Message perturbation = batch_message(d);
  perturbation.header.mutable_perturbation()->set_step(1);
  const auto sent = c.deliver("output", std::move(perturbation));
  REQUIRE(sent.size() == 4);
  REQUIRE(sent[0].message.header.signal().kind() == wire::Signal::reward);
  const double p = std::exp(5.0) / (std::exp(5.0) + 9);
  CHECK(sent[0].message.body.data()[0] == doctest::Approx((p - 1) * 1e-9).epsilon(1e-4));
  CHECK(sent[0].message.body.data()[1] == 0);
}

TEST_CASE("evaluation is counted separately and not answered") {
  ReadoutFixture c;
  c.deliver(source_name, target(1, {3, 7}, wire::evaluate));
  CHECK(c.deliver("output", output(two_outputs(), 1, wire::evaluate)).empty());
  Message end;
  end.header.mutable_epoch_end()->set_epoch(1);
  const auto result = c.deliver(source_name, std::move(end));
  CHECK(result[0].message.header.epoch_result().test().samples() == 2);
  CHECK(result[0].message.header.epoch_result().train().samples() == 0);
}

TEST_CASE("an invalid label, another step, another number of samples: each is refused") {
  ReadoutFixture c;
  CHECK_THROWS_AS(c.deliver(source_name, target(1, {3, 10})), system_error);
  ReadoutFixture d;
  d.deliver(source_name, target(1, {3, 7}));
  CHECK_THROWS_AS(d.deliver("output", output(two_outputs(), 2)), system_error);
  ReadoutFixture e;
  e.deliver(source_name, target(1, {3, 7, 8}));
  CHECK_THROWS_AS(e.deliver("output", output(two_outputs(), 1)), system_error);
}

}  // namespace
}  // namespace lateral
