// The event loop of a run: waits for messages, signals, ticks and the ends of nodes, and carries
// out the decisions of Coordinator and RunWatch.
#include "nodes/launch/launch.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/thread_pool.hpp>
#include <csignal>
#include <deque>
#include <thread>
#include <utility>

#include "nodes/base/log.hpp"
#include "nodes/base/signals.hpp"
#include "nodes/base/usage.hpp"
#include "nodes/base/version.hpp"
#include "nodes/coordinator/coordinator.hpp"
#include "nodes/coordinator/report_checks.hpp"
#include "nodes/launch/in_process_launcher.hpp"
#include "nodes/launch/local_launcher.hpp"
#include "nodes/launch/run_watch.hpp"
#include "nodes/runtime/node.hpp"
#include "nodes/runtime/ports.hpp"
#include "transport/task.hpp"

namespace lateral {
namespace {

static_assert(watch_interval >= heartbeat_interval);

using Clock = std::chrono::steady_clock;

/// The state of a run; used on the event-loop thread. The coordinator works on the thread of
/// `pool`: a slow disk must not make nodes seem silent. (Its work is passed as a variable: GCC 12
/// destroys an object twice that is converted within the operand of co_await.)
struct Run {
  Run(const asio::any_io_executor& executor, const Experiment& experiment, Coordinator& c,
      Launcher& l, const Log& log_of_coordinator)
      : coordinator{c},
        launcher{l},
        log{log_of_coordinator},
        ports{executor, {.relinks = links_break(), .acknowledges = links_break()}},
        watch{names(experiment), l.properties().silence,
              [this](const std::string& node) { return link_state(node); },
              std::thread::hardware_concurrency()},
        signals{executor},
        event{executor} {
    for (const int signal : stop_signals()) signals.add(signal);
  }

  bool links_break() const { return launcher.properties().links_break; }
  static std::vector<std::string> names(const Experiment& experiment) {
    std::vector<std::string> names;
    for (const NodeSpec& node : experiment.topology.nodes()) names.push_back(node.name);
    return names;
  }
  LinkState link_state(const std::string& node) const {
    return {ports.linked(node),     ports.closed(node),         ports.is_full(node),
            ports.has_unread(node), ports.bytes_received(node), ports.heartbeat(node)};
  }
  /// Starts nodes, in their order, while fewer than starting_max have been started and are not
  /// linked: hundreds at once would keep each other from answering in time.
  void start_nodes() {
    const auto is_starting = [this](const std::string& node) {
      return !ports.linked(node) && !ports.closed(node);
    };
    const std::size_t starting_max =
        std::max<std::size_t>(4, std::size_t{2} * std::thread::hardware_concurrency());
    auto starting =
        static_cast<std::size_t>(std::count_if(started.begin(), started.end(), is_starting));
    for (; !to_start.empty() && starting < starting_max; ++starting) {
      const std::string node = std::move(to_start.front());
      to_start.pop_front();
      launcher.start(node, 0);
      watch.started(node);
      started.push_back(node);
    }
  }
  /// To be called after every event that was reported to the watch.
  void notify() { event.cancel(); }

  Coordinator& coordinator;
  Launcher& launcher;
  Log log;
  Ports ports;
  RunWatch watch;
  std::deque<std::string> to_start;
  std::vector<std::string> started;
  asio::signal_set signals;  // registered at the start, so that none is missed
  asio::steady_timer event;
  asio::thread_pool pool{1};  // joined before the objects that it uses are destroyed
};

// ---- Events. Each of these runs until it is cancelled.

awaitable<void> watch_signals(Run& run) {
  for (;;) {
    const int signal = co_await run.signals.async_wait(use_awaitable);
    run.watch.signalled(signal, Clock::now());
    run.notify();
  }
}

awaitable<void> watch_time(Run& run) {
  for (;;) {
    co_await sleep_for(watch_interval);
    run.watch.tick();
    run.start_nodes();
    run.notify();
  }
}

awaitable<void> handle(Run& run, std::string node, Message message) {
  const bool is_last = message.header.has_finished();
  const std::uint32_t generation = run.watch.generation(node);
  const auto shared = std::make_shared<Message>(std::move(message));
  bool accepted = false;
  std::function<void()> work = [&run, &accepted, &node, generation, shared] {
    accepted = run.coordinator.handle(node, generation, std::move(*shared), run.ports);
  };
  run.watch.handling(node, true);
  co_await compute_on(run.pool, std::move(work));
  run.watch.handling(node, false);
  if (run.coordinator.has_begun()) run.watch.network_begun();
  if (is_last && accepted) run.watch.finished(node);
}

awaitable<void> read_messages(Run& run) {
  for (;;) {
    std::pair<std::string, std::optional<Message>> received = co_await run.ports.receive_any();
    const std::string& node = received.first;
    std::optional<Message>& message = received.second;
    if (!message)
      run.watch.link_closed(node);
    else if (message->header.has_failed())
      run.watch.failed(node, message->header.failed());
    else
      co_await handle(run, node, std::move(*message));
    run.notify();
  }
}

// ---- Actions

awaitable<void> replace(Run& run, Evidence loss) {
  // A process closes its links a moment before its end can be seen, which may tell that a
  // replacement would fail as well.
  constexpr std::chrono::milliseconds end_seen_max{20};
  if (loss.kind == Evidence::Kind::link_closed) co_await sleep_for(end_seen_max);
  if (run.watch.has_failed(loss.node)) co_return;
  Coordinator::Replacement replacement;
  std::function<void()> work = [&] {
    replacement = run.coordinator.replace(loss.node, loss.detail);
  };
  co_await compute_on(run.pool, std::move(work));
  if (!replacement.generation) {
    loss.detail += replacement.refusal;
    run.watch.not_replaced(std::move(loss));
    co_return;
  }
  run.watch.replaced(loss.node, *replacement.generation);
  run.launcher.stop(loss.node);
  run.ports.renew(loss.node, Stream(run.links_break()));
  run.launcher.start(loss.node, *replacement.generation);
}

awaitable<void> stop(Run& run) {
  std::function<void()> work = [&run] { run.coordinator.stop(run.ports); };
  co_await compute_on(run.pool, std::move(work));
}

awaitable<void> dismiss(Run& run) {
  run.coordinator.dismiss(run.ports);
  try {
    co_await with_deadline(leave_time_max, run.ports.all_unlinked());
  } catch (const system_error& error) {
    if (error.code() != asio::error::timed_out) throw;  // a node was lost at the last moment
  }
}

/// Ends with the run.
awaitable<void> carry_out_actions(Run& run) {
  for (;;) {
    const std::optional<RunWatch::Action> action = run.watch.next(Clock::now());
    if (!action) {
      run.event.expires_at(run.watch.next_time());
      error_code cancelled_by_notify;
      co_await run.event.async_wait(asio::redirect_error(use_awaitable, cancelled_by_notify));
      continue;
    }
    switch (action->kind) {
      case RunWatch::Action::Kind::replace:
        co_await replace(run, action->loss);
        break;
      case RunWatch::Action::Kind::stop:
        co_await stop(run);
        break;
      case RunWatch::Action::Kind::dismiss:
        co_await dismiss(run);
        co_return;
      case RunWatch::Action::Kind::end:
        co_return;
    }
  }
}

NodeSummary own_summary(const Ports& ports) {
  const Usage usage = own_usage();
  return {coordinator_name,  "coordinator",         getpid(),          usage.peak_rss_bytes,
          usage.cpu_seconds, ports.messages_sent(), ports.bytes_sent()};
}

// ---- The run

awaitable<void> run_network(const Experiment& experiment, Coordinator& coordinator,
                            Launcher& launcher, Log log, Outcome& outcome) {
  auto executor = co_await asio::this_coro::executor;
  Run run{executor, experiment, coordinator, launcher, log};
  launcher.report_to({[&](std::unique_ptr<Link> link) {
                        link->set_limits(report_limits(experiment, link->peer()));
                        run.ports.attach(std::move(link));
                        run.start_nodes();
                      },
                      [&](const NodeEnd& end) {
                        run.watch.node_ended(end);
                        run.notify();
                      }});
  for (const NodeSpec& node : experiment.topology.nodes()) {
    run.ports.add(node.name, Stream(run.links_break()));
    run.watch.will_start(node.name);
    run.to_start.push_back(node.name);
  }
  run.start_nodes();
  std::vector<awaitable<void>> tasks;
  tasks.push_back(carry_out_actions(run));
  tasks.push_back(run.ports.run());
  tasks.push_back(read_messages(run));
  tasks.push_back(launcher.run());
  tasks.push_back(watch_signals(run));
  tasks.push_back(watch_time(run));
  std::exception_ptr failure;
  try {
    co_await run_until_first_ends(std::move(tasks));
    if (run.watch.all_finished()) outcome.summary = coordinator.conclude(own_summary(run.ports));
    coordinator.end();
  } catch (...) {
    failure = std::current_exception();
  }
  outcome.signal = run.watch.signal();
  if (failure) std::rethrow_exception(failure);
  if (const std::optional<Failure> cause = run.watch.failure()) {
    outcome.code = cause->code;
    outcome.message = cause->message;
  }
}

awaitable<void> run_and_finish(const Experiment& experiment, Coordinator& coordinator,
                               Launcher& launcher, Log log, Outcome& outcome) {
  std::exception_ptr failure;
  try {
    co_await run_network(experiment, coordinator, launcher, std::move(log), outcome);
  } catch (...) {
    failure = std::current_exception();  // the nodes are still running
  }
  co_await launcher.finish(outcome.summary ? leave_time_max : std::chrono::milliseconds{0});
  if (failure) std::rethrow_exception(failure);
}

/// A run is done only if all nodes have delivered their results, and all epochs are in them.
void check_done(const Outcome& outcome) {
  if (outcome.code != ExitCode::done || outcome.signal != 0) return;
  if (!outcome.summary) throw NetworkError("the run ended before all nodes had finished");
  if (!outcome.summary->complete)
    throw NetworkError(fmt::format("the network ended after {} epochs without being stopped",
                                   outcome.summary->epochs.size()));
}

std::unique_ptr<Launcher> make_launcher(const asio::any_io_executor& executor,
                                        const Experiment& experiment, const RunPlan& plan,
                                        Placement placement, const TcpParams& tcp, const Log& log) {
  if (placement == Placement::in_process)
    return std::make_unique<InProcessLauncher>(executor, experiment, plan.directory);
  return std::make_unique<LocalLauncher>(
      executor, experiment.digest,
      LocalSockets{placement == Placement::tcp_sockets, tcp.host, tcp.plain}, plan.directory, log);
}

}  // namespace

Outcome launch(const Experiment& experiment, RunPlan& plan, Placement placement,
               const TcpParams& tcp, RunObserver& terminal) {
  Outcome outcome;
  // Outlives the threads that may still use it.
  std::optional<Coordinator> coordinator;
  try {
    asio::io_context io{1};
    if (plan.directory) plan.log = Log::to_file(plan.directory->log(coordinator_name));
    const Log& log = plan.log;
    log.info(
        fmt::format("lateral {}: {} nodes of {}{}", version(), experiment.topology.nodes().size(),
                    experiment.name,
                    plan.resumed ? fmt::format(", resumed after step {}", plan.start.step) : ""));
    const std::unique_ptr<Launcher> launcher =
        make_launcher(io.get_executor(), experiment, plan, placement, tcp, log);
    coordinator.emplace(experiment, plan, terminal,
                        launcher->properties().replaces_nodes && plan.directory &&
                            !plan.evaluate_only && experiment.restarts_max > 0);
    std::exception_ptr failure;
    asio::co_spawn(io, run_and_finish(experiment, *coordinator, *launcher, log, outcome),
                   [&](const std::exception_ptr& thrown) {
                     failure = thrown;
                     io.stop();
                   });
    io.run();
    if (failure) std::rethrow_exception(failure);
    check_done(outcome);
  } catch (...) {
    const Failure described = describe_failure(std::current_exception());
    outcome.code = described.code;
    outcome.message = described.message;
  }
  plan.log.info(
      outcome.code == ExitCode::done
          ? (outcome.signal == 0 ? "ended" : fmt::format("stopped by signal {}", outcome.signal))
          : fmt::format("failed with exit code {}: {}", static_cast<int>(outcome.code),
                        outcome.message));
  outcome.began = coordinator && coordinator->has_begun();
  terminal.end();
  return outcome;
}

}  // namespace lateral
