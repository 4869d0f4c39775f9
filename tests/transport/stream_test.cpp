// Numbered messages: each is accepted once and in order, over successive connections and processes.
#include "transport/stream.hpp"

#include <doctest/doctest.h>

#include "tests/support/run.hpp"
#include "transport/error.hpp"

namespace lateral {
namespace {

Message message(std::uint64_t step, std::size_t values = 1) {
  Message m;
  m.header.mutable_signal()->set_step(step);
  m.body = Block(values);
  return m;
}
Stream with_sent(std::uint64_t count, bool retains) {
  Stream stream{retains};
  for (std::uint64_t i = 1; i <= count; ++i) stream.push(message(i));
  return stream;
}
/// The steps of the messages that are sent on a connection now, which equal their numbers.
std::vector<std::uint64_t> take_all(Stream& stream) {
  std::vector<std::uint64_t> steps;
  while (stream.unsent() > 0) {
    const Message m = stream.next();
    CHECK(m.header.sequence() == m.header.signal().step());
    steps.push_back(m.header.signal().step());
  }
  return steps;
}
using Steps = std::vector<std::uint64_t>;

TEST_CASE("messages are numbered from 1 and returned once, in order") {
  for (const bool retains : {false, true}) {
    Stream stream = with_sent(3, retains);
    CHECK(stream.unsent() == 3);
    CHECK(take_all(stream) == Steps{1, 2, 3});
    CHECK(stream.unsent() == 0);
    stream.push(message(4));
    CHECK(take_all(stream) == Steps{4});
    CHECK(stream.sent() == 4);
    CHECK(stream.retained_bytes() == (retains ? 4 * (sizeof(Message) + sizeof(float)) : 0));
  }
}

TEST_CASE("numbers continue after those of a predecessor") {
  Stream stream{true, 7, 5};
  stream.push(message(8));
  CHECK(take_all(stream) == Steps{8});
  CHECK_FALSE(stream.accept(5));
  CHECK(stream.accept(6));
}

TEST_CASE("a repeated message is dropped") {
  Stream stream;
  int applied = 0;
  for (const std::uint64_t sequence : {1, 1, 2, 1, 2, 3, 3}) applied += stream.accept(sequence);
  CHECK(applied == 3);
  CHECK(stream.received() == 3);
}

TEST_CASE("a message that is missing is reported at once") {
  Stream stream;
  CHECK(stream.accept(1));
  CHECK(code_of([&] { stream.accept(3); }) == TransportError::out_of_sequence);
  CHECK(stream.received() == 1);
  CHECK(stream.accept(2));  // nothing was taken in its place
}

TEST_CASE("a new connection continues after the received messages, if the others are retained") {
  for (std::uint64_t received = 0; received <= 5; ++received) {
    Stream stream = with_sent(5, true);
    take_all(stream);
    stream.resume(received);
    Steps expected;
    for (std::uint64_t i = received + 1; i <= 5; ++i) expected.push_back(i);
    CHECK(take_all(stream) == expected);
  }
  // Without retention, only messages that were not sent on any connection.
  Stream forgetful = with_sent(5, false);
  forgetful.next();
  forgetful.next();
  CHECK(code_of([&] { forgetful.resume(1); }) == TransportError::out_of_sequence);
  forgetful.resume(2);
  CHECK(take_all(forgetful) == Steps{3, 4, 5});
}

TEST_CASE("repeated messages that the peer has received from the predecessor are not sent") {
  for (const bool retains : {false, true}) {
    Stream stream{retains, 0, 0, Stream::Origin::replacement};
    stream.resume(3);
    for (std::uint64_t i = 1; i <= 5; ++i) stream.push(message(i));
    CHECK(stream.unsent() == 2);
    CHECK(take_all(stream) == Steps{4, 5});
    if (retains) {  // for a peer that restarts
      stream.resume(0);
      CHECK(take_all(stream) == Steps{1, 2, 3, 4, 5});
    }
  }
}

TEST_CASE("a peer that claims to have received what nobody has sent is refused") {
  Stream stream = with_sent(5, true);
  take_all(stream);
  for (const std::uint64_t received : {std::uint64_t{6}, std::uint64_t{1} << 60}) {
    CHECK(code_of([&] { stream.resume(received); }) == TransportError::out_of_sequence);
    stream.push(message(6));
    stream.resume(5);
    CHECK(take_all(stream).back() == 6);  // nothing was lost
    stream = with_sent(5, true);
    take_all(stream);
  }
}

TEST_CASE("a peer that needs forgotten messages is refused") {
  Stream stream = with_sent(5, true);
  take_all(stream);
  stream.forget(3);
  CHECK(stream.retained_bytes() == 2 * (sizeof(Message) + sizeof(float)));
  stream.resume(3);
  CHECK(take_all(stream) == Steps{4, 5});
  CHECK(code_of([&] { stream.resume(2); }) == TransportError::out_of_sequence);
  stream.forget(9);  // beyond the last sent message: all sent ones
  CHECK(stream.retained_bytes() == 0);
  stream.push(message(6));
  CHECK(take_all(stream) == Steps{6});
}

TEST_CASE(
    "beyond retained_bytes_max the oldest messages are dropped, and a peer that needs them is "
    "refused") {
  Stream stream{true};
  const std::size_t quarter =
      retained_bytes_max / 4 / sizeof(float);  // never written: uses no memory
  for (std::uint64_t i = 1; i <= 6; ++i) {
    stream.push(message(i, quarter));
    take_all(stream);
    CHECK(stream.retained_bytes() <= retained_bytes_max);
  }
  stream.resume(3);
  CHECK(take_all(stream) == Steps{4, 5, 6});
  CHECK(code_of([&] { stream.resume(2); }) == TransportError::out_of_sequence);
  // Unsent messages are not dropped: flow control of the sending process is elsewhere.
  Stream unsent{true};
  for (std::uint64_t i = 1; i <= 6; ++i) unsent.push(message(i, quarter));
  CHECK(take_all(unsent) == Steps{1, 2, 3, 4, 5, 6});
}

TEST_CASE("unsent messages are not forgotten, whatever the peer claims to have received") {
  Stream stream{true};
  for (int i = 0; i < 3; ++i) stream.push(Message());
  CHECK(stream.next().header.sequence() == 1);
  stream.forget(1000000);
  CHECK(stream.unsent() == 2);
  CHECK(stream.next().header.sequence() == 2);
  CHECK(stream.next().header.sequence() == 3);
}

}  // namespace
}  // namespace lateral
