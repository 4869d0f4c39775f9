// Ports: each message is delivered once and in order, over links that break.
#include "nodes/runtime/ports.hpp"

#include <doctest/doctest.h>

#include <boost/asio/post.hpp>

#include "nodes/base/failure.hpp"
#include "tests/support/run.hpp"
#include "transport/memory_link.hpp"

namespace lateral {
namespace {

Message numbered(std::uint64_t step) {
  Message message;
  message.header.mutable_signal()->set_step(step);
  return message;
}

awaitable<void> relink(Ports& a, Ports& b) {
  auto executor = co_await asio::this_coro::executor;
  auto [to_b, to_a] = make_memory_links(executor, "a", "b");
  to_b->set_limits({1024, 1024});
  to_a->set_limits({1024, 1024});
  a.attach(std::move(to_b));
  b.attach(std::move(to_a));
}

/// Runs the test while both serve their links.
awaitable<void> while_linked(Ports& a, Ports& b, awaitable<void> test) {
  std::vector<awaitable<void>> tasks;
  tasks.push_back(std::move(test));
  tasks.push_back(a.run());
  tasks.push_back(b.run());
  co_await run_until_first_ends(std::move(tasks));
}

/// Breaks the link between the ports `a` and `b` after every few messages.
awaitable<void> break_often(Ports& a, Ports& b, int& breaks) {
  for (;;) {
    co_await relink(a, b);
    ++breaks;
    for (int i = 0; i < 12; ++i) co_await asio::post(use_awaitable);
  }
}

awaitable<void> send_many(Ports& ports, std::string to, std::uint64_t count) {
  for (std::uint64_t step = 1; step <= count; ++step) {
    ports.send(to, numbered(step));
    co_await ports.unsent_at_most(2);
  }
  co_await asio::post(use_awaitable);
  for (;;) co_await ports.unsent_at_most(0), co_await sleep_for(std::chrono::milliseconds{1});
}

awaitable<void> receive_many(Ports& ports, std::string from, std::uint64_t count,
                             std::vector<std::uint64_t>& got) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const Message message = co_await ports.receive(from);
    got.push_back(message.header.signal().step());
  }
}

TEST_CASE("over links that break repeatedly every message arrives once and in order") {
  asio::io_context io{1};
  constexpr std::uint64_t count = 2000;
  for (const bool acknowledges : {false, true}) {
    CAPTURE(acknowledges);
    Ports a{io.get_executor(), {.relinks = true, .acknowledges = acknowledges}};
    Ports b{io.get_executor(), {.relinks = true, .acknowledges = acknowledges}};
    a.add("b", Stream(true));
    b.add("a", Stream(true));
    std::vector<std::uint64_t> got, expected;
    int breaks = 0;
    const auto test = [&]() -> awaitable<void> {
      std::vector<awaitable<void>> tasks;
      tasks.push_back(receive_many(b, "a", count, got));
      tasks.push_back(a.run());
      tasks.push_back(b.run());
      tasks.push_back(send_many(a, "b", count));
      tasks.push_back(break_often(a, b, breaks));
      co_await run_until_first_ends(std::move(tasks));
    };
    run(io, test());
    for (std::uint64_t step = 1; step <= count; ++step) expected.push_back(step);
    CHECK(got == expected);
    CHECK(breaks > 100);
  }
}

TEST_CASE("a broken link closes a port that does not relink, and its received messages remain") {
  asio::io_context io{1};
  Ports a{io.get_executor()};
  Ports b{io.get_executor()};
  a.add("b", Stream());
  b.add("a", Stream());
  std::vector<std::uint64_t> got;
  const auto test = [&]() -> awaitable<void> {
    co_await relink(a, b);
    a.send("b", numbered(1));
    for (int i = 0; i < 20; ++i) co_await asio::post(use_awaitable);
    a.close("b", "for the test");
    co_await receive_many(b, "a", 2, got);
  };
  CHECK_THROWS_AS(run(io, while_linked(a, b, test())), NetworkError);
  CHECK(got == std::vector<std::uint64_t>{1});
}

TEST_CASE("a renewed peer is linked again, also after its port was closed") {
  asio::io_context io{1};
  Ports a{io.get_executor(), {.relinks = true}};
  Ports b{io.get_executor(), {.relinks = true}};
  a.add("b", Stream(true));
  b.add("a", Stream(true));
  std::vector<std::uint64_t> got;
  const auto test = [&]() -> awaitable<void> {
    co_await relink(a, b);
    for (int i = 0; i < 20; ++i) co_await asio::post(use_awaitable);
    a.close("b", "for the test");
    for (int i = 0; i < 20; ++i) co_await asio::post(use_awaitable);
    CHECK(a.closed("b"));
    a.renew("b", Stream(true));
    b.renew("a", Stream(true));
    co_await relink(a, b);
    a.send("b", numbered(7));
    co_await receive_many(b, "a", 1, got);
  };
  run(io, while_linked(a, b, test()));
  CHECK(got == std::vector<std::uint64_t>{7});
}

TEST_CASE("a message to a port that was destroyed meanwhile is dropped") {
  asio::io_context io;
  for (int i = 0; i < 200; ++i) {
    {
      Ports ports{io.get_executor()};
      ports.add("there", Stream());
      ports.send("there", Message());
    }
    // Occupies the memory of the port, so that a write to it is detected.
    std::vector<std::vector<unsigned char>> probes;
    for (std::size_t size = 16; size < 1024; size += 16) probes.emplace_back(size, 0);
    io.restart();
    io.poll();
    for (const auto& probe : probes)
      CHECK(std::all_of(probe.begin(), probe.end(), [](unsigned char c) { return c == 0; }));
  }
}

}  // namespace
}  // namespace lateral
