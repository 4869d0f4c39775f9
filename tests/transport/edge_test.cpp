// Edge: the order of sent messages, the bounded queue, and acknowledgements.
#include "transport/edge.hpp"

#include <doctest/doctest.h>

#include "tests/support/run.hpp"
#include "transport/error.hpp"

namespace lateral {
namespace {

Message numbered(std::uint64_t sequence, std::size_t values = 0) {
  Message message;
  message.header.mutable_end();
  message.header.set_sequence(sequence);
  message.body = Block(values);
  return message;
}
Message heartbeat() {
  Message message;
  message.header.mutable_heartbeat();
  return message;
}
Message resume(std::uint64_t received) {
  Message message;
  message.header.mutable_resume()->set_received(received);
  return message;
}

TEST_CASE("a link first sends Resume, and the stream after the peer's Resume was received") {
  Edge edge{Stream(true)};
  edge.push(Message());
  CHECK_FALSE(edge.next());
  edge.linked();
  edge.push_unsequenced(heartbeat());
  CHECK(edge.next()->header.has_resume());
  CHECK(edge.next()->header.has_heartbeat());  // ahead of the stream
  CHECK_FALSE(edge.next());
  CHECK_FALSE(edge.take(resume(0)));
  CHECK(edge.resumed());
  CHECK(edge.next()->header.sequence() == 1);
  edge.unlinked();
  edge.linked();
  CHECK(edge.next()->header.has_resume());
  CHECK_FALSE(edge.next());
  edge.take(resume(0));
  CHECK(edge.next()->header.sequence() == 1);  // it was lost
}

TEST_CASE("the queue has room for the messages in flight and a few more, and for what it drops") {
  Edge edge{Stream(), {.in_flight = 3}};
  std::uint64_t sequence = 1;
  for (; edge.has_room_for(numbered(sequence)); ++sequence) CHECK(edge.take(numbered(sequence)));
  CHECK(sequence == incoming_spare + 3 + 1);
  CHECK(edge.is_full());
  CHECK(edge.has_room_for(numbered(1)));
  CHECK_FALSE(edge.take(numbered(1)));  // has been received before
  CHECK(edge.has_room_for(heartbeat()));
  CHECK(edge.read()->header.sequence() == 1);
  CHECK(edge.has_room_for(numbered(sequence)));
  CHECK(code_of([&] { edge.take(numbered(sequence + 1)); }) == TransportError::out_of_sequence);
  CHECK(code_of([&] { edge.take(Message()); }) == TransportError::unexpected_message);
}

TEST_CASE(
    "received messages are acknowledged after a number of messages or bytes, or with another "
    "message") {
  const auto acknowledged = [](Edge& edge) -> std::uint64_t {
    const std::optional<Message> message = edge.next();
    return message && message->header.has_acknowledge() ? message->header.acknowledge().received()
                                                        : 0;
  };
  for (const bool acknowledges : {true, false}) {
    CAPTURE(acknowledges);
    Edge edge{Stream(), {.acknowledges = acknowledges}};
    const auto take = [&](std::uint64_t sequence, std::size_t values = 0) {
      edge.take(numbered(sequence, values));
      edge.read();
    };
    for (std::uint64_t i = 1; i < unacknowledged_max; ++i) take(i);
    CHECK(acknowledged(edge) == 0);
    take(unacknowledged_max);
    CHECK(acknowledged(edge) == (acknowledges ? unacknowledged_max : 0));
    take(unacknowledged_max + 1, unacknowledged_bytes_max / sizeof(float));
    CHECK(acknowledged(edge) == (acknowledges ? unacknowledged_max + 1 : 0));
    take(unacknowledged_max + 2);
    edge.push_unsequenced(heartbeat());
    CHECK(acknowledged(edge) == (acknowledges ? unacknowledged_max + 2 : 0));
  }
}

}  // namespace
}  // namespace lateral
