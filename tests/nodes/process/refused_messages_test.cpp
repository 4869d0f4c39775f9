// Invalid messages of authenticated peers: each has an error of its own, and causes no message and
// no learning.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "nodes/base/failure.hpp"
#include "tests/support/network.hpp"
#include "transport/error.hpp"

namespace lateral {
namespace {

constexpr Index batch_size = 32;

Message body(Index rows, Index n) {
  Message message;
  message.header.add_shape(static_cast<std::uint32_t>(rows));
  message.header.add_shape(static_cast<std::uint32_t>(n));
  message.body = Block(static_cast<std::size_t>(rows * n));
  std::fill_n(message.body.data(), message.body.size(), 0.5F);
  return message;
}
Message activity(Index rows, Index n, std::uint64_t step = 1) {
  Message message = body(rows, n);
  message.header.mutable_activity()->set_step(step);
  message.header.mutable_activity()->set_epoch(1);
  message.header.mutable_activity()->set_batch(batch_size);
  return message;
}
Message error(Index rows, Index n, std::uint64_t step = 1) {
  Message message = body(rows, n);
  set_signal(message, wire::Signal::error, step);
  return message;
}
Message target(std::size_t labels, std::uint32_t label) {
  Message message;
  message.header.mutable_target()->set_step(1);
  message.header.mutable_target()->set_batch(batch_size);
  for (std::size_t i = 0; i < labels; ++i) message.header.mutable_target()->add_labels(label);
  return message;
}
Message with_value(Message message, float value) {
  message.body.data()[message.body.size() / 2] = value;
  return message;
}
Message reshaped(Message message, std::vector<std::uint32_t> shape) {
  message.header.mutable_shape()->Assign(shape.begin(), shape.end());
  return message;
}

/// The error message; empty if the message is accepted.
std::string refusal(Process& process, const std::string& peer, Message message) {
  Collected out;
  try {
    process.handle(peer, std::move(message), out);
  } catch (const system_error& refused) {
    CHECK(refused.code() == TransportError::unexpected_message);
    CHECK(out.sent.empty());
    const Failure failure = describe_failure(std::current_exception());
    CHECK(failure.code == ExitCode::network);
    return failure.message;
  } catch (const NumericsError& diverged) {
    CHECK(out.sent.empty());
    return diverged.what();
  }
  return "";
}

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

TEST_CASE("a layer refuses what has the wrong shape, is not finite, or is not due") {
  const Experiment experiment = small_experiment();
  const struct {
    const char* what;
    std::function<Message()> make;
    const char* line;
  } cases[] = {
      {"too few units", [] { return activity(32, 11); }, "of shape (32, 11), expected (1…32, 12)"},
      {"too many samples", [] { return activity(33, 12); }, "of shape (33, 12), expected (1…32,"},
      {"no samples", [] { return activity(0, 12); }, "of shape (0, 12), expected"},
      {"transposed", [] { return activity(12, 32); }, "of shape (12, 32), expected"},
      {"one dimension", [] { return reshaped(activity(1, 12), {12}); }, "of shape (12), expected"},
      {"three dimensions",
       [] {
         return reshaped(activity(32, 12), {32, 12, 1});
       },
       "of shape (32, 12, 1), expected"},
      {"no body", [] { return reshaped(activity(0, 0), {}); }, "of shape (), expected"},
      {"not a number", [] { return with_value(activity(32, 12), not_a_number); }, "not finite"},
      {"infinite", [] { return with_value(activity(32, 12), infinity); }, "not finite"},
      {"minus infinite", [] { return with_value(activity(32, 12), -infinity); }, "not finite"},
      {"a signal before its activity", [] { return error(32, 8); }, "unexpected message"},
      {"a signal of another kind",
       [] {
         Message message = error(32, 8);
         message.header.mutable_signal()->set_kind(wire::Signal::reward);
         return message;
       },
       "unexpected message"},
      {"a message of the coordinator",
       [] {
         Message message;
         message.header.mutable_begin();
         return message;
       },
       "unexpected message"},
      {"a second micro-batch without the first",
       [] {
         Message message = activity(8, 12);
         message.header.mutable_activity()->set_first_sample(8);
         return message;
       },
       "unexpected message"},
      {"a batch above the batch size",
       [] {
         Message message = activity(32, 12);
         message.header.mutable_activity()->set_batch(1000);
         return message;
       },
       "unexpected message"},
  };
  for (const auto& [what, make, line] : cases) {
    CAPTURE(what);
    LayerProcess layer{layer_plan(experiment, "hidden2")};  // hidden2: 12 → 8
    const std::string message_text = refusal(layer, "hidden1", make());
    CAPTURE(message_text);
    CHECK(message_text.find(line) != std::string::npos);
    CHECK(message_text.find("hidden1") != std::string::npos);
    CHECK(message_text.find('\n') == std::string::npos);
  }
  LayerProcess layer{layer_plan(experiment, "hidden2")};
  CHECK(refusal(layer, "hidden1", activity(32, 12)).empty());  // the right one
}

TEST_CASE("a layer refuses signals of another batch than the one it waits for") {
  const Experiment experiment = small_experiment();
  const struct {
    const char* what;
    std::function<Message()> make;
    const char* line;
  } cases[] = {
      {"another step", [] { return error(32, 8, 2); }, "unexpected message"},
      {"an activity", [] { return activity(32, 12); }, "unexpected message"},
      {"too few samples", [] { return error(31, 8); }, "of shape (31, 8), expected (32, 8)"},
      {"too many units", [] { return error(32, 9); }, "of shape (32, 9), expected (32, 8)"},
      {"not finite", [] { return with_value(error(32, 8), not_a_number); }, "not finite"},
  };
  for (const auto& [what, make, line] : cases) {
    CAPTURE(what);
    LayerProcess layer{layer_plan(experiment, "hidden2")};
    REQUIRE(refusal(layer, "hidden1", activity(32, 12)).empty());
    const std::string message_text = refusal(layer, "output", make());
    CAPTURE(message_text);
    CHECK(message_text.find(line) != std::string::npos);
  }
}

TEST_CASE("the readout refuses invalid labels, too many labels, and outputs of other sizes") {
  const Experiment experiment = small_experiment();
  ReadoutProcess readout{readout_plan(experiment), wire::Sums{}};
  CHECK(refusal(readout, "source", target(32, 10)).find("source sent the label 10") == 0);
  ReadoutProcess other{readout_plan(experiment), wire::Sums{}};
  CHECK(
      refusal(other, "source", target(33, 1)).find("source sent 33 labels, expected at most 32") ==
      0);
  ReadoutProcess third{readout_plan(experiment), wire::Sums{}};
  CHECK(refusal(third, "output", activity(32, 10)).find("unexpected message") !=
        std::string::npos);  // before its target
  REQUIRE(refusal(third, "source", target(32, 1)).empty());
  CHECK(refusal(third, "output", activity(31, 10)).find("expected (32, 10)") != std::string::npos);
  CHECK(refusal(third, "output", with_value(activity(32, 10), infinity)).find("not finite") !=
        std::string::npos);
}

TEST_CASE("the error for a number that is not finite names the sender, the content and the step") {
  for (const float value : {infinity, -infinity, not_a_number}) {
    Matrix batch = Matrix::Zero(3, 2);
    batch(1, 1) = static_cast<Scalar>(value);
    Message message = batch_message(batch);
    message.header.mutable_activity()->set_step(7);
    CHECK_THROWS_WITH_AS(batch_view(message, "hidden1", 3, 2, 2),
                         doctest::Contains("hidden1: activity at step 7 is not finite"),
                         NumericsError);
    message = batch_message(batch);
    set_signal(message, wire::Signal::fisher_error, 3);
    CHECK_THROWS_WITH_AS(batch_view(message, "output", 3, 2, 2),
                         doctest::Contains("output: Fisher error at step 3 is not finite"),
                         NumericsError);
  }
}

}  // namespace
}  // namespace lateral
