// RunWatch: which signs mean that a node is lost, and what follows from them and when.
#include "nodes/launch/run_watch.hpp"

#include <doctest/doctest.h>

#include <csignal>

namespace lateral {
namespace {

using Kind = RunWatch::Action::Kind;
using std::chrono::milliseconds;

/// A watch over two nodes, whose links the test describes.
struct Fixture {
  std::map<std::string, LinkState> links;
  RunWatch watch{
      {"a", "b"}, SilenceLimits{}, [this](const std::string& node) { return links.at(node); }};
  RunWatch::Time now{};

  Fixture() { links["a"].linked = links["b"].linked = true; }
  std::optional<Kind> next() {
    const auto action = watch.next(now);
    return action ? std::optional(action->kind) : std::nullopt;
  }
  /// The nodes that are to be replaced now.
  std::vector<std::string> lost() {
    std::vector<std::string> nodes;
    while (const auto action = watch.next(now)) {
      REQUIRE(action->kind == Kind::replace);
      nodes.push_back(action->loss.node);
    }
    return nodes;
  }
  /// Time in which b, but not a, is heard.
  void pass(milliseconds time) {
    for (; time.count() > 0; time -= watch_interval) {
      now += watch_interval;
      ++links["b"].bytes_received;
      watch.tick();
    }
  }
  /// The process of this generation of `a` was killed.
  void kill(std::uint32_t generation) {
    watch.node_ended({"a", generation, std::nullopt, "was killed"});
  }
  void fail_in_a() {
    wire::Failed failure;
    failure.set_exit_code(static_cast<int>(ExitCode::numerics));
    failure.set_message("a diverged");
    watch.failed("a", failure);
  }
};
using Names = std::vector<std::string>;

TEST_CASE("a node that was killed is replaced, and the end of a replaced process is no loss") {
  Fixture f;
  f.kill(0);
  CHECK(f.lost() == Names{"a"});
  f.watch.replaced("a", 1);
  CHECK(f.watch.generation("a") == 1);
  f.kill(0);
  CHECK(f.lost().empty());
  f.kill(1);
  CHECK(f.lost() == Names{"a"});
}

TEST_CASE(
    "a node that reports an exit code that no failure has is lost, and never ends a run as done") {
  for (const int code : {0, 5, 99, 256}) {
    CAPTURE(code);
    Fixture f;
    wire::Failed failure;
    failure.set_exit_code(code);
    failure.set_message("all\xe2\x80\xae fine");
    f.watch.failed("a", failure);
    const auto action = f.watch.next(f.now);
    REQUIRE(action);
    CHECK(action->kind == Kind::replace);
    CHECK(action->loss.detail ==
          "reports exit code " + std::to_string(code) + ", which no failure has: all? fine");
    f.watch.not_replaced(action->loss);
    REQUIRE(f.watch.failure());
    CHECK(f.watch.failure()->code == ExitCode::network);
  }
}

TEST_CASE("a network in which one node alone says that it works is stuck after the limit") {
  for (const bool others_work : {false, true}) {
    CAPTURE(others_work);
    Fixture f;
    f.watch.network_begun();
    const auto pass_alive = [&](milliseconds time) {
      for (; time.count() > 0; time -= watch_interval) {
        for (const char* node : {"a", "b"}) ++f.links[node].bytes_received;
        // "a" claims to finish tasks, longer and longer ones.
        f.links["a"].heartbeat.set_tasks(f.links["a"].heartbeat.tasks() + 1);
        f.links["a"].heartbeat.set_longest_ms(4'000'000'000U);
        if (others_work) f.watch.handling("b", false);
        f.watch.tick();
      }
    };
    pass_alive(SilenceLimits{}.progress - watch_interval);
    CHECK_FALSE(f.watch.failure());
    pass_alive(milliseconds{1000});
    CHECK(f.watch.failure().has_value() == !others_work);
    if (others_work) continue;
    CHECK(f.watch.failure()->code == ExitCode::network);
    CHECK(f.watch.failure()->message == "node 'a' is the only one to have done anything for 600 s");
  }
}

TEST_CASE("before training begins the network may take longer to prepare") {
  Fixture f;
  const auto pass_alive = [&](milliseconds time) {
    for (; time.count() > 0; time -= watch_interval) {
      for (const char* node : {"a", "b"}) ++f.links[node].bytes_received;
      f.watch.tick();
    }
  };
  pass_alive(SilenceLimits{}.progress * 2);
  CHECK_FALSE(f.watch.failure());
  pass_alive(SilenceLimits{}.preparation);
  REQUIRE(f.watch.failure());
  CHECK(f.watch.failure()->message == "node 'a' and all others have done nothing for 3600 s");
}

TEST_CASE("a loss with several signs leads to one replacement") {
  Fixture f;
  f.kill(0);
  f.watch.link_closed("a");
  const auto action = f.watch.next(f.now);
  REQUIRE(action);
  CHECK(action->loss.detail == "was killed");
  f.watch.replaced("a", 1);
  CHECK(f.lost().empty());
}

TEST_CASE("a node is lost if it is silent, but not while the coordinator does not read its link") {
  for (const bool is_full : {false, true}) {
    CAPTURE(is_full);
    Fixture f;
    f.links["a"].is_full = is_full;
    f.pass(milliseconds{1500} - watch_interval);
    CHECK(f.lost().empty());
    f.pass(watch_interval);
    CHECK(f.lost() == (is_full ? Names{} : Names{"a"}));
  }
}

TEST_CASE("a node that has not called may take longer than one that is linked") {
  Fixture f;
  f.links["a"].linked = false;
  f.pass(milliseconds{10000} - watch_interval);
  CHECK(f.lost().empty());
  f.pass(watch_interval);
  CHECK(f.lost() == Names{"a"});
}

TEST_CASE("a failed run ends when no message can explain the failure better") {
  for (const bool handling : {false, true})
    for (const bool unread : {false, true}) {
      CAPTURE(handling);
      CAPTURE(unread);
      Fixture f;
      f.watch.handling("b", handling);
      f.links["a"].has_unread = unread;
      f.fail_in_a();
      int waits = 0;
      std::optional<Kind> action;
      for (; !(action = f.next()); ++waits) f.now = f.watch.next_time();
      CHECK(action == Kind::end);
      CHECK(waits == (handling || unread ? evidence_waits_max : 1));
      REQUIRE(f.watch.failure());
      CHECK(f.watch.failure()->message == "a diverged");
      CHECK(f.watch.failure()->code == ExitCode::numerics);
    }
}

TEST_CASE("a run ends after its last node has finished, not before") {
  Fixture f;
  f.watch.finished("a");
  CHECK_FALSE(f.watch.all_finished());
  CHECK_FALSE(f.next());
  f.watch.finished("b");
  f.kill(0);  // after its last message
  CHECK(f.next() == Kind::dismiss);
  CHECK_FALSE(f.next());
  CHECK_FALSE(f.watch.failure());
}

TEST_CASE("the first signal stops a run that has begun; any other signal ends it at once") {
  Fixture f;
  f.watch.signalled(SIGINT, f.now);
  CHECK(f.next() == Kind::end);  // nothing to save yet

  Fixture g;
  g.watch.network_begun();
  g.watch.signalled(SIGINT, g.now);
  CHECK(g.next() == Kind::stop);
  CHECK_FALSE(g.next());
  CHECK(g.watch.next_time() == g.now + stop_max);
  g.now += same_request / 2;
  g.watch.signalled(SIGINT, g.now);  // the same request, to the program and to its group
  CHECK_FALSE(g.next());
  g.now += same_request;
  g.watch.signalled(SIGTERM, g.now);
  CHECK(g.next() == Kind::end);
  CHECK(g.watch.signal() == SIGTERM);
}

TEST_CASE("a node that was killed for lack of memory is not replaced") {
  Fixture f;
  f.watch.node_ended({"a", 0, std::nullopt, "(pid 7) was killed by the kernel for lack of memory",
                      NodeEnd::Cause::out_of_memory});
  CHECK(f.lost().empty());
  CHECK(f.watch.has_failed("a"));
  REQUIRE(f.watch.failure());
  CHECK(f.watch.failure()->code == ExitCode::network);
  CHECK(f.watch.failure()->message.find("for lack of memory, and is not replaced") !=
        std::string::npos);
}

TEST_CASE("a node that crashes is replaced twice") {
  Fixture f;
  for (std::uint32_t generation = 0; generation < 2; ++generation) {
    f.watch.node_ended({"a", generation, std::nullopt, "crashed", NodeEnd::Cause::crash});
    CHECK(f.lost() == Names{"a"});
    f.watch.replaced("a", generation + 1);
  }
  f.watch.node_ended({"a", 2, std::nullopt, "crashed", NodeEnd::Cause::crash});
  CHECK(f.lost().empty());
  CHECK(f.watch.has_failed("a"));
}

TEST_CASE("a node is not missed before it is started, nor while others connect") {
  Fixture f;
  f.links["a"].linked = false;
  f.watch.will_start("a");
  f.pass(milliseconds{20000});
  CHECK(f.lost().empty());
  f.watch.started("a");
  f.pass(milliseconds{9000});
  CHECK(f.lost().empty());
  f.links["b"].linked = false;
  f.pass(milliseconds{100});
  f.links["b"].linked = true;  // connects
  f.pass(milliseconds{9000});
  CHECK(f.lost().empty());
  f.pass(milliseconds{1100});
  CHECK(f.lost() == Names{"a"});
}

TEST_CASE("with many nodes on a processor more silence is allowed") {
  std::vector<std::string> names;
  std::map<std::string, LinkState> links;
  for (int i = 0; i < 300; ++i) {
    names.push_back(std::to_string(i));
    links[names.back()].linked = true;
  }
  RunWatch watch{names, SilenceLimits{}, [&](const std::string& node) { return links.at(node); },
                 2};
  const auto pass = [&](int ticks) {
    for (int i = 0; i < ticks; ++i) {
      for (int n = 1; n < 300; ++n) ++links[names[static_cast<std::size_t>(n)]].bytes_received;
      watch.tick();
    }
  };
  pass(41);  // 1500 ms + (150 - 16) · 20 ms = 4180 ms
  CHECK(!watch.next({}));
  pass(2);
  REQUIRE(watch.next({}));
}

}  // namespace
}  // namespace lateral
