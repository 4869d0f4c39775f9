// Messages to a layer and the messages that it sends in response.
#include "nodes/process/layer.hpp"

#include <doctest/doctest.h>

#include "nodes/base/failure.hpp"
#include "tests/support/network.hpp"

namespace lateral {
namespace {

Message batch(Index n, Index b, float scale = 1) {
  Matrix values(n, b);
  RandomStream(5, 0, 0, Purpose::generated_data).fill_normal(values, scale);
  return batch_message(values);
}
Message activity(Index n, Index b, std::uint64_t step, wire::Pass pass = wire::train) {
  Message message = batch(n, b);
  message.header.mutable_activity()->set_step(step);
  message.header.mutable_activity()->set_batch(static_cast<std::uint32_t>(b));
  message.header.mutable_activity()->set_epoch(1);
  message.header.mutable_activity()->set_pass(pass);
  return message;
}
Message error(Index n, Index b, std::uint64_t step) {
  Message message = batch(n, b);
  set_signal(message, wire::Signal::error, step);
  return message;
}

/// hidden2 (12 → 8) of a small experiment, and the messages that it sends.
struct LayerFixture {
  explicit LayerFixture(const std::vector<std::string>& sets = {}, std::size_t position = 1)
      : experiment{small_experiment(sets)},
        layer{layer_plan(experiment, experiment.layers[position].name)} {}
  std::vector<Sent> deliver(const std::string& peer, Message message) {
    Collected out;
    layer.handle(peer, std::move(message), out);
    while (layer.next().kind == Next::Kind::produce) layer.produce(false, out);
    append_tensors(layer, out.sent);
    return std::move(out.sent);
  }
  std::map<std::string, std::vector<float>> state() {
    std::map<std::string, std::vector<float>> tensors;
    Message snapshot;
    snapshot.header.mutable_snapshot()->set_step(1);
    for (Sent& sent : deliver(layer.next().peer, std::move(snapshot)))
      if (sent.message.header.has_tensor())
        tensors[sent.message.header.tensor().name()] = {sent.message.body.values().begin(),
                                                        sent.message.body.values().end()};
    return tensors;
  }
  Experiment experiment;
  LayerProcess layer;
};

std::vector<std::string> receivers(const std::vector<Sent>& sent) {
  std::vector<std::string> names;
  for (const Sent& s : sent)
    if (s.to != coordinator_name) names.push_back(s.to);
  return names;
}
using Names = std::vector<std::string>;

TEST_CASE(
    "backpropagation: activity is sent forward, then the error backward, then the layer learns") {
  LayerFixture c;
  CHECK(c.layer.next().peer == "hidden1");
  const auto up = c.deliver("hidden1", activity(12, 32, 2));  // step 2 is not probed
  CHECK(receivers(up) == Names{"output"});
  CHECK(up[0].message.header.activity().step() == 2);
  CHECK(up[0].message.header.shape(0) == 32);
  CHECK(up[0].message.header.shape(1) == 8);
  CHECK(c.layer.next().peer == "output");
  const auto down = c.deliver("output", error(8, 32, 2));
  CHECK(receivers(down) == Names{"hidden1"});
  CHECK(down.size() == 1);
  CHECK(down[0].message.header.signal().kind() == wire::Signal::error);
  CHECK(down[0].message.header.shape(1) == 12);
  CHECK(c.layer.next().peer == "hidden1");
}

TEST_CASE("learning changes weights and decorrelation, and only after the error was received") {
  LayerFixture c;
  const auto before = c.state();
  c.deliver("hidden1", activity(12, 32, 2));
  c.deliver("output", error(8, 32, 2));
  const auto after = c.state();
  for (const char* name : {"weight", "bias", "decorrelation/R", "decorrelation/mean"}) {
    CAPTURE(name);
    CHECK(before.at(name) != after.at(name));
  }
}

TEST_CASE("steps in flight follow each other without a gap") {
  LayerFixture c{{"execution.schedule=asynchronous", "execution.staleness=1"}};
  c.deliver("hidden1", activity(12, 32, 2));
  CHECK_THROWS(c.deliver("hidden1", activity(12, 32, 4)));  // would replace step 2
  LayerFixture other;
  CHECK_THROWS(other.deliver("hidden1", activity(12, 32, std::uint64_t{1} << 56)));
}

TEST_CASE("unsettled dynamics are reported once for each step, for any number of micro-batches") {
  for (const char* pieces : {"1", "4"}) {
    CAPTURE(pieces);
    LayerFixture c{{"decorrelation.mode=settled", "decorrelation.max_steps=1",
                    "decorrelation.tolerance=1e-6", "decorrelation.unsettled=continue",
                    "decorrelation.demean=none", "decorrelation.initial_scale=3",
                    "decorrelation.step=0.1", "learning.credit=direct_feedback_alignment",
                    "learning.batch_size=128", std::string("execution.micro_batches=") + pieces}};
    const Index width = 128 / std::stoi(pieces);
    int unsettled = 0;
    const auto count = [&](const std::vector<Sent>& sent) {
      for (const Sent& one : sent)
        unsettled += one.message.header.probe().probe() == "unsettled_residual";
    };
    for (Index first = 0; first < 128; first += width) {
      Message up = activity(12, width, 2);
      up.header.mutable_activity()->set_batch(128);
      up.header.mutable_activity()->set_first_sample(static_cast<std::uint32_t>(first));
      count(c.deliver("hidden1", std::move(up)));
    }
    for (Index first = 0; first < 128; first += width) {
      Message down = batch(10, width, 1e-2f);
      set_signal(down, wire::Signal::output_error, 2, static_cast<std::uint32_t>(first));
      count(c.deliver(readout_name, std::move(down)));
    }
    CHECK(unsettled == 1);
  }
}

TEST_CASE("an evaluation batch passes through the layer and does not change its state") {
  LayerFixture c;
  const auto before = c.state();
  const auto up = c.deliver("hidden1", activity(12, 7, 1, wire::evaluate));
  CHECK(receivers(up) == Names{"output"});
  CHECK(c.layer.next().peer == "hidden1");
  CHECK(c.state() == before);
}

TEST_CASE("the first layer sends no error to the source") {
  LayerFixture c{{}, 0};
  c.deliver(source_name, activity(36, 32, 2));
  CHECK(receivers(c.deliver("hidden2", error(12, 32, 2))).empty());
}

TEST_CASE("direct feedback alignment reads the readout's signal and sends no error") {
  LayerFixture c{{"learning.credit=direct_feedback_alignment"}};
  c.deliver("hidden1", activity(12, 32, 2));
  CHECK(c.layer.next().peer == readout_name);
  Message broadcast = batch(10, 32);
  set_signal(broadcast, wire::Signal::output_error, 2);
  CHECK(receivers(c.deliver(readout_name, std::move(broadcast))).empty());
  CHECK(c.layer.next().peer == "hidden1");
}

TEST_CASE(
    "node perturbation: a clean and a perturbed pass are sent forward, a reward is received") {
  LayerFixture c{{"learning.credit=node_perturbation"}};
  CHECK(receivers(c.deliver("hidden1", activity(12, 32, 2))) == Names{"output"});
  CHECK(c.layer.next().peer == "hidden1");
  Message perturbation = batch(12, 32, 1e-3f);
  perturbation.header.mutable_perturbation()->set_step(2);
  const auto up = c.deliver("hidden1", std::move(perturbation));
  CHECK(receivers(up) == Names{"output"});
  CHECK(up[0].message.header.has_perturbation());
  CHECK(c.layer.next().peer == readout_name);
  const auto before = c.layer.next();
  Message reward = batch(1, 32, 1e-3f);
  set_signal(reward, wire::Signal::reward, 2);
  CHECK(receivers(c.deliver(readout_name, std::move(reward))).empty());
  CHECK(c.layer.next().peer == "hidden1");
}

TEST_CASE(
    "a probed step of another rule waits for the true error, reports the angle, and learns the "
    "same") {
  std::map<std::string, std::vector<float>> learned[2];
  for (const int interval : {0, 1}) {
    LayerFixture c{{"learning.credit=feedback_alignment",
                    "recording.probe_interval=" + std::to_string(interval)}};
    c.deliver("hidden1", activity(12, 32, 2));
    c.deliver("output", error(8, 32, 2));
    if (interval == 1) {
      CHECK(c.layer.next().peer == "output");
      Message truth = batch(8, 32);
      set_signal(truth, wire::Signal::true_error, 2);
      const auto sent = c.deliver("output", std::move(truth));
      CHECK(receivers(sent) == Names{"hidden1"});
      std::vector<std::string> probes;
      for (const Sent& s : sent)
        if (s.message.header.has_probe()) probes.push_back(s.message.header.probe().probe());
      CHECK(probes == Names{"gradient_angle_degrees", "correlation_before", "correlation_after",
                            "effective_rank_before", "effective_rank_after", "activity_norm",
                            "dead_units", "condition_number_before", "condition_number_after",
                            "weight_alignment_degrees", "natural_gradient_angle_degrees",
                            "input_natural_angle_degrees", "weight_update_norm", "gain"});
    }
    learned[interval] = c.state();
  }
  CHECK(learned[0] == learned[1]);
}

TEST_CASE(
    "a wrong shape, a wrong step, a wrong kind and a number that is not finite are each refused") {
  LayerFixture c;
  CHECK_THROWS_AS(c.deliver("hidden1", activity(13, 32, 2)), system_error);
  CHECK_THROWS_AS(c.deliver("hidden1", activity(12, 33, 2)), system_error);
  CHECK_THROWS_AS(c.deliver("hidden1", error(8, 32, 2)), system_error);
  Message broken = activity(12, 32, 2);
  broken.body.data()[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(c.deliver("hidden1", std::move(broken)), NumericsError);
  c.deliver("hidden1", activity(12, 32, 2));
  CHECK_THROWS_AS(c.deliver("output", error(8, 32, 3)), system_error);
  CHECK_THROWS_AS(c.deliver("output", error(8, 31, 2)), system_error);
  CHECK_THROWS_AS(c.deliver("output", activity(12, 32, 2)), system_error);
}

TEST_CASE("a diverging activity is reported by its layer, with step and quantity") {
  LayerFixture c{{"layer.hidden2.activation=identity"}};
  Message huge = activity(12, 32, 2);
  for (std::size_t i = 0; i < huge.body.size(); ++i) huge.body.data()[i] *= 3e38f;
  try {
    for (std::size_t i = 0; i < huge.body.size(); ++i)
      if (!std::isfinite(huge.body.data()[i])) huge.body.data()[i] = 3e38f;
    c.deliver("hidden1", std::move(huge));
    FAIL("accepted");
  } catch (const NumericsError& e) {
    CHECK(std::string(e.what()).find("hidden2: activity at step 2 is not finite") == 0);
  }
}

TEST_CASE(
    "unsettled dynamics end the run with unsettled: stop, and do not with unsettled: continue") {
  const std::vector<std::string> sets{"decorrelation.mode=settled", "decorrelation.step=1.9",
                                      "decorrelation.max_steps=1", "decorrelation.tolerance=1e-6"};
  LayerFixture stop{sets};
  CHECK_THROWS_AS(stop.deliver("hidden1", activity(12, 32, 2)), NumericsError);
  auto more = sets;
  more.push_back("decorrelation.unsettled=continue");
  LayerFixture continues{more};
  CHECK(receivers(continues.deliver("hidden1", activity(12, 32, 2))) == Names{"output"});
  const auto sent = continues.deliver("output", error(8, 32, 2));
  CHECK(std::any_of(sent.begin(), sent.end(), [](const Sent& s) {
    return s.message.header.probe().probe() == "unsettled_residual";
  }));
}

TEST_CASE("a layer restored from its reported tensors continues with the same bits") {
  for (const char* mode : {"closed_form", "settled"})
    for (const char* warm : {"false", "true"}) {
      CAPTURE(mode);
      CAPTURE(warm);
      const std::vector<std::string> sets{std::string("decorrelation.mode=") + mode,
                                          std::string("decorrelation.warm_start=") + warm};
      LayerFixture first{sets}, second{sets};
      for (std::uint64_t step = 1; step <= 5; ++step) {
        first.deliver("hidden1", activity(12, 32, step));
        first.deliver("output", error(8, 32, step));
      }
      Message snapshot;
      snapshot.header.mutable_snapshot()->set_step(5);
      for (Sent& sent : first.deliver("hidden1", std::move(snapshot)))
        if (sent.message.header.has_tensor()) {
          const std::string name = sent.message.header.tensor().name();
          second.layer.restore(name, std::move(sent.message));
        }
      second.layer.restored();
      for (std::uint64_t step = 6; step <= 9; ++step)
        for (LayerFixture* c : {&first, &second}) {
          c->deliver("hidden1", activity(12, 32, step));
          c->deliver("output", error(8, 32, step));
        }
      CHECK(first.state() == second.state());
    }
}

/// The tensors of a layer, as many as it announced for its last snapshot.
std::map<std::string, std::vector<float>> state_of(LayerProcess& layer, std::size_t count) {
  std::map<std::string, std::vector<float>> tensors;
  for (std::size_t i = 0; i < count; ++i) {
    const Message tensor = layer.tensor(i, {});
    tensors[tensor.header.tensor().name()] = {tensor.body.values().begin(),
                                              tensor.body.values().end()};
  }
  return tensors;
}

/// The result of handle_keeps_state(); and whether the state after a snapshot is unchanged by an
/// evaluation and by the next step up to its produce().
std::pair<bool, bool> keeps_state(std::vector<std::string> sets, Index batch = 32) {
  sets.push_back("learning.batch_size=" + std::to_string(batch));
  LayerFixture now{sets}, later{sets};
  Collected out;
  for (LayerFixture* c : {&now, &later}) {
    for (std::uint64_t step = 1; step <= 3; ++step) {
      c->deliver("hidden1", activity(12, batch, step));
      c->deliver("output", error(8, batch, step));
    }
    Message snapshot;
    snapshot.header.mutable_snapshot()->set_step(3);
    c->layer.handle("hidden1", std::move(snapshot), out);
  }
  const std::size_t count = out.sent.back().message.header.snapshot_part().tensors();
  Message evaluation = activity(12, batch, 3);
  evaluation.header.mutable_activity()->set_pass(wire::evaluate);
  later.layer.handle("hidden1", std::move(evaluation), out);
  later.layer.handle("hidden1", activity(12, batch, 4), out);
  later.layer.handle("output", error(8, batch, 4), out);
  const auto state = state_of(now.layer, count);
  REQUIRE(state.size() > 2);
  const bool same = state_of(later.layer, count) == state;
  REQUIRE(later.layer.next().kind == Next::Kind::produce);
  later.layer.produce(false, out);
  CHECK(later.state() != state);
  return {now.layer.handle_keeps_state(), same};
}

TEST_CASE(
    "after a snapshot handle() does not change the state of a layer, unless handle_keeps_state() "
    "is false") {
  const std::pair both{true, true};
  for (const auto& rule : decorrelation_table())
    for (const char* mode : {"closed_form", "settled"}) {
      CAPTURE(rule.name);
      CAPTURE(mode);
      const DecorrelationModes modes = rule.make({})->modes();
      if (std::string(mode) == "settled" ? !modes.settled : !modes.closed_form) continue;
      CHECK(keeps_state({"decorrelation.rule=" + std::string(rule.name),
                         std::string("decorrelation.mode=") + mode}) == both);
    }
  CHECK(keeps_state({"decorrelation.demean=running"}, 1) == both);
  CHECK(keeps_state({"decorrelation.mode=settled", "decorrelation.warm_start=true"}) ==
        std::pair(false, false));
  CHECK(!LayerFixture({"execution.schedule=asynchronous", "execution.staleness=1"})
             .layer.handle_keeps_state());
}

TEST_CASE("state that is unknown, misshapen or not finite is refused by name") {
  LayerFixture c;
  const auto refusal = [&](const std::string& name, std::vector<std::uint32_t> shape,
                           float value) -> std::string {
    Message message;
    std::size_t values = 1;
    for (const std::uint32_t extent : shape) {
      message.header.add_shape(extent);
      values *= extent;
    }
    message.body = Block(values);
    std::fill_n(message.body.data(), values, value);
    try {
      c.layer.restore(name, std::move(message));
    } catch (const UserError& e) {
      return e.what();
    }
    return "accepted";
  };
  CHECK(refusal("weight", {8, 12}, 0.5f) == "accepted");
  CHECK(refusal("weight", {12, 8}, 0.5f)
            .find("/layers/hidden2/weight has shape (12, 8), expected (8, 12)") !=
        std::string::npos);
  CHECK(refusal("bias", {8, 1}, 0.5f).find("/layers/hidden2/bias has shape (8, 1), expected (8)") !=
        std::string::npos);
  CHECK(
      refusal("decorrelation/M", {12, 12}, 1).find("/layers/hidden2/decorrelation/M is not part") !=
      std::string::npos);
  CHECK(refusal("bias", {8}, std::numeric_limits<float>::infinity()).find("not finite") !=
        std::string::npos);
  CHECK(c.state().at("weight") == std::vector<float>(96, 0.5f));
}

}  // namespace
}  // namespace lateral
