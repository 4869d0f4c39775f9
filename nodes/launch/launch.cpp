// Everything that a coordinator waits for: nodes that call, speak, fall silent or die, and signals.
#include "nodes/launch/launch.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/thread_pool.hpp>
#include <csignal>
#include <deque>
#include <fstream>
#include <set>

#include "nodes/base/digest.hpp"
#include "nodes/base/usage.hpp"
#include "nodes/launch/children.hpp"
#include "nodes/launch/log_line.hpp"
#include "nodes/launch/socket_folder.hpp"
#include "nodes/launch/verdict.hpp"
#include "nodes/runtime/node.hpp"
#include "nodes/runtime/ports.hpp"
#include "transport/memory_link.hpp"
#include "transport/reception.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

/// What is known of a run that is going on.
struct Watch {
  Watch(const asio::any_io_executor& executor, Coordinator& c)
      : coordinator{c},
        signals{executor, SIGINT, SIGTERM, SIGHUP},
        child_signals{executor, SIGCHLD},
        changed{executor} {}

  /// Who is only lost may be replaced.
  void blame(Evidence item) {
    if (item.code == ExitCode::network)
      lost.push_back(std::move(item));
    else
      evidence.push_back(std::move(item));
    changed.notify();
  }

  Coordinator& coordinator;  // handles messages on another thread: only converse() may ask it
  bool busy = false;         // the coordinator is at a message
  bool begun = false;
  std::set<std::string> finished;
  std::map<std::string, std::uint32_t> generation;  // by node
  std::deque<Evidence> lost;                        // not yet dealt with
  std::vector<Evidence> evidence;                   // that the run is to end
  std::function<void(const std::string&)> log = [](const std::string&) {};
  int signal = 0;
  bool give_up = false;  // a second signal, or a stop that takes too long
  // Here from the start, so that none is missed whoever waits for them.
  asio::signal_set signals, child_signals;
  Changed changed;
};

// ---- What is watched. Each of these runs until it is cancelled, unless it says otherwise.

awaitable<void> watch_signals(Watch& watch, Ports& ports, asio::thread_pool& pool) {
  for (;;) {
    const int signal = co_await watch.signals.async_wait(use_awaitable);
    const bool first = watch.signal == 0;
    watch.signal = signal;
    std::function<void()> stop = [&] { watch.coordinator.stop(ports); };
    if (first && watch.begun)
      co_await compute_on(pool, std::move(stop));
    else
      watch.give_up = true;
    watch.changed.notify();
  }
}

/// What the end of a node process says, if nobody says it better.
Evidence evidence_of_end(const Children::Ended& ended) {
  const auto code = WIFEXITED(ended.status) ? static_cast<ExitCode>(WEXITSTATUS(ended.status))
                                            : ExitCode::network;
  const bool lost_another = WIFEXITED(ended.status) && code == ExitCode::network;
  return {lost_another ? Evidence::Kind::lost_another : Evidence::Kind::died, ended.name, code,
          "(pid " + std::to_string(ended.pid) + ") " + describe_status(ended.status)};
}

awaitable<void> watch_children(Watch& watch, Children& children) {
  for (;;) {
    // One that ended with 0 has said so; its last messages may still wait to be read, and if it has
    // not, the closed link behind them tells.
    for (const Children::Ended& ended : children.reap())
      if (ended.status != 0) watch.blame(evidence_of_end(ended));
    co_await watch.child_signals.async_wait(use_awaitable);
  }
}

awaitable<void> watch_silence(Watch& watch, const Ports& ports,
                              const std::vector<NodeSpec>& nodes) {
  struct Heard {
    std::uint32_t generation = 0;
    std::uint64_t bytes = 0;
    int silent_ticks = 0;
  };
  std::map<std::string, Heard> heard;
  const auto ms = [](int ticks) { return std::to_string(ticks * heartbeat_interval.count()); };
  for (;;) {
    co_await sleep_for(heartbeat_interval);
    for (const NodeSpec& node : nodes) {
      Heard& last = heard[node.name];
      const Heard now{watch.generation[node.name], ports.heard(node.name), 0};
      // A closed port is converse()'s to judge; one that is not being read is our delay, not
      // theirs.
      const bool ours = ports.closed(node.name) || ports.is_full(node.name);
      const bool silent = now.bytes == last.bytes && now.generation == last.generation && !ours;
      last = {now.generation, now.bytes, silent ? last.silent_ticks + 1 : 0};
      if (!ports.linked(node.name)) {
        if (last.silent_ticks >= unlinked_ticks_max)
          watch.blame({Evidence::Kind::silent, node.name, ExitCode::network,
                       "has not called for " + ms(unlinked_ticks_max) + " ms"});
        continue;
      }
      if (last.silent_ticks >= silent_ticks_max)
        watch.blame({Evidence::Kind::silent, node.name, ExitCode::network,
                     "has been silent for " + ms(silent_ticks_max) + " ms"});
      const wire::Heartbeat& heartbeat = ports.heartbeat(node.name);
      const std::uint32_t work_max =
          std::max(work_ms_min, longer_work_max * heartbeat.longest_ms());
      if (heartbeat.busy_ms() > work_max)
        watch.blame({Evidence::Kind::silent, node.name, ExitCode::network,
                     "has been at one piece of work for " + std::to_string(heartbeat.busy_ms()) +
                         " ms, expected at most " + std::to_string(work_max)});
    }
  }
}

/// What is needed to start a node again; nothing where nodes are not processes.
using StartNode = std::function<void(const std::string& name, std::uint32_t generation)>;

/// Puts a new process in the place of each node that is lost, as long as that may be.
awaitable<void> replace_lost(Watch& watch, Ports& ports, asio::thread_pool& pool,
                             const StartNode& start) {
  for (;;) {
    while (watch.lost.empty()) co_await watch.changed.wait();
    Evidence item = std::move(watch.lost.front());
    watch.lost.pop_front();
    std::optional<std::uint32_t> generation;
    std::function<void()> decide = [&] {
      if (start) generation = watch.coordinator.replace(item.node, item.detail);
      if (!generation) item.detail += watch.coordinator.why_not_replaced(item.node);
    };
    co_await compute_on(pool, std::move(decide));
    if (!generation) {
      watch.evidence.push_back(item);
      watch.changed.notify();
      continue;
    }
    watch.generation[item.node] = *generation;
    watch.log("node '" + item.node + "' " + item.detail + "; it is replaced by its generation " +
              std::to_string(*generation));
    std::erase_if(watch.lost, [&](const Evidence& other) { return other.node == item.node; });
    ports.renew(item.node, Stream(true));
    start(item.node, *generation);
  }
}

/// Ends when there is enough evidence for a verdict, or the user has had enough.
awaitable<void> decide(Watch& watch, const Ports& ports) {
  while (watch.evidence.empty() && !watch.give_up) co_await watch.changed.wait();
  const auto more_to_read = [&] {
    return watch.busy ||
           std::any_of(watch.evidence.begin(), watch.evidence.end(),
                       [&](const Evidence& item) { return ports.has_unread(item.node); });
  };
  for (int round = 0; round < evidence_rounds_max && !watch.give_up; ++round) {
    co_await sleep_for(evidence_max);
    if (!more_to_read()) break;
  }
}

awaitable<void> give_up_when_stopping_takes_too_long(Watch& watch) {
  while (watch.signal == 0) co_await watch.changed.wait();
  co_await sleep_for(stop_max);
  watch.give_up = true;
  watch.changed.notify();
  co_await sleep_for(stop_max);
}

/// Reads what the nodes say until all have finished.
awaitable<void> converse(Watch& watch, Ports& ports, std::size_t n_nodes, asio::thread_pool& pool) {
  Coordinator& coordinator = watch.coordinator;
  while (watch.finished.size() < n_nodes) {
    std::pair<std::string, std::optional<Message>> received = co_await ports.receive_any();
    const std::string node = received.first;
    std::optional<Message>& message = received.second;
    if (!message) {
      watch.blame({Evidence::Kind::link_closed, node, ExitCode::network,
                   "closed its link to the coordinator"});
      continue;
    }
    if (message->header.has_failed()) {
      const wire::Failed& failed = message->header.failed();
      const auto code = static_cast<ExitCode>(failed.exit_code());
      const bool network = code == ExitCode::network;
      watch.blame({network ? Evidence::Kind::lost_another : Evidence::Kind::reported, node, code,
                   network ? "reports: " + failed.message() : failed.message()});
      continue;
    }
    // Results are written on another thread: a slow disk must not make nodes look silent.
    const bool is_last = message->header.has_finished();
    auto shared = std::make_shared<Message>(std::move(*message));
    bool counts = false;
    std::function<void()> work = [&counts, &coordinator, &ports, node, shared,
                                  generation = watch.generation[node]] {
      counts = coordinator.handle(node, generation, std::move(*shared), ports);
    };
    watch.busy = true;
    co_await compute_on(pool, std::move(work));
    watch.busy = false;
    watch.begun = watch.begun || coordinator.has_begun();
    if (is_last && counts) watch.finished.insert(node);
  }
  coordinator.dismiss(ports);
  try {
    co_await with_deadline(farewell_max, ports.all_unlinked());
  } catch (const system_error& error) {
    if (error.code() != asio::error::timed_out) throw;  // a node was lost at the last moment
  }
}

NodeSummary own_summary(const Ports& ports) {
  const Usage usage = own_usage();
  return {coordinator_name,  "coordinator",         getpid(),          usage.peak_rss_bytes,
          usage.cpu_seconds, ports.messages_sent(), ports.bytes_sent()};
}

/// How a node of this process writes lines into its log.
std::function<void(const std::string&)> file_log(const RunPlan& plan, const std::string& node) {
  if (!plan.directory) return [](const std::string&) {};
  const fs::path path = plan.directory->log(node);
  std::ofstream{path, std::ios::app};  // there from the start
  return [path](const std::string& line) {
    std::ofstream{path, std::ios::app} << log_line(line) + "\n";
  };
}

/// The conversation with a network whose nodes are all linked to us.
awaitable<void> run_linked(Watch& watch, Ports& ports, const std::vector<NodeSpec>& nodes,
                           Children* children, const StartNode& start, Outcome& outcome) {
  asio::thread_pool pool{1};
  std::vector<awaitable<void>> tasks;
  tasks.push_back(ports.run());
  tasks.push_back(converse(watch, ports, nodes.size(), pool));
  tasks.push_back(decide(watch, ports));
  tasks.push_back(replace_lost(watch, ports, pool, start));
  tasks.push_back(watch_signals(watch, ports, pool));
  tasks.push_back(give_up_when_stopping_takes_too_long(watch));
  if (children != nullptr) {
    tasks.push_back(watch_children(watch, *children));
    tasks.push_back(watch_silence(watch, ports, nodes));
  }
  co_await run_until_first_ends(std::move(tasks));
  if (watch.finished.size() == nodes.size())
    outcome.summary = watch.coordinator.conclude(own_summary(ports));
  watch.coordinator.flush();
}

// ---- A process a node

std::string node_address(Placement placement, const TcpParams& tcp, const fs::path& folder,
                         const std::string& name) {
  return placement == Placement::unix_sockets ? "unix:" + (folder / name).string()
                                              : "tcp:" + tcp.host + ":0";
}

awaitable<void> run_processes(const Experiment& experiment, const RunPlan& plan,
                              Placement placement, const TcpParams& tcp, Watch& watch,
                              Children& children, Outcome& outcome) {
  auto executor = co_await asio::this_coro::executor;
  const std::vector<NodeSpec> nodes = network_nodes(experiment);
  SocketFolder folder;
  const Credentials credentials{make_secret(), experiment.digest, tcp.plain};
  watch.log = file_log(plan, coordinator_name);
  const FrameLimits limits{header_bytes_max, experiment.report_bytes_max()};
  Ports ports{executor, {.relinks = true, .acknowledges = true}};
  Reception reception{executor,
                      node_address(placement, tcp, folder.path(), coordinator_name),
                      credentials,
                      {coordinator_name, 0},
                      watch.log,
                      [&](const Identity&, std::unique_ptr<Link> link) {
                        link->set_limits(limits);
                        ports.attach(std::move(link));
                      }};
  const StartNode start = [&](const std::string& name, std::uint32_t generation) {
    children.forsake(name);
    reception.expect({name, generation});
    std::vector<std::string> arguments{
        "node",
        "--name",
        name,
        "--generation",
        std::to_string(generation),
        "--coordinator",
        reception.address(),
        "--digest",
        to_hex(experiment.digest),
        "--secret",
        secret_path,
        "--listen",
        node_address(placement, tcp, folder.path(),
                     name + (generation > 0 ? "." + std::to_string(generation) : ""))};
    if (tcp.plain) arguments.emplace_back("--plain-tcp");
    children.start(name, arguments,
                   plan.directory ? plan.directory->log(name) : fs::path("/dev/null"),
                   credentials.secret);
  };
  for (const NodeSpec& node : nodes) {
    ports.add(node.name, Stream(true));
    start(node.name, 0);
  }
  std::vector<awaitable<void>> tasks;
  tasks.push_back(reception.run());
  tasks.push_back(run_linked(watch, ports, nodes, &children, start, outcome));
  co_await run_until_first_ends(std::move(tasks));
}

// ---- All nodes within this process

awaitable<ExitCode> live_here(std::unique_ptr<Link> to_coordinator, NodeSetting setting) {
  auto executor = co_await asio::this_coro::executor;
  Ports control{executor};
  control.add(coordinator_name, Stream());
  control.attach(std::move(to_coordinator));
  const ExitCode code = co_await run_node_session(control, std::move(setting));
  co_return code;
}

awaitable<void> run_in_process(const Experiment& experiment, const RunPlan& plan, Watch& watch,
                               Outcome& outcome) {
  auto executor = co_await asio::this_coro::executor;
  const std::vector<NodeSpec> nodes = network_nodes(experiment);
  std::map<std::string, std::vector<std::unique_ptr<Link>>> links;
  for (const auto& [first, second] : network_links(experiment)) {
    auto [end_of_first, end_of_second] = make_memory_links(executor, first, second);
    links[first].push_back(std::move(end_of_first));
    links[second].push_back(std::move(end_of_second));
  }
  std::size_t alive = nodes.size();
  Changed died{executor};
  std::exception_ptr failure;
  {
    Ports ports{executor};
    for (const NodeSpec& node : nodes) {
      auto [here, there] = make_memory_links(executor, coordinator_name, node.name);
      here->set_limits({header_bytes_max, experiment.report_bytes_max()});
      there->set_limits({header_bytes_max, control_body_bytes_max});
      ports.add(node.name, Stream());
      ports.attach(std::move(here));
      NodeSetting setting;
      setting.name = node.name;
      setting.own_process = false;
      setting.digest = experiment.digest;
      setting.log = plan.directory ? Log::to_file(plan.directory->log(node.name)) : Log();
      auto own = std::make_shared<std::vector<std::unique_ptr<Link>>>(std::move(links[node.name]));
      setting.set_network = [own](Ports* network, const FrameLimits& limits) {
        if (network == nullptr) return;
        for (std::unique_ptr<Link>& link : *own) {
          link->set_limits(limits);
          network->attach(std::move(link));
        }
      };
      setting.set_peer = [](const wire::Peer&) {};
      setting.dial_peers = [] {};
      asio::co_spawn(executor, live_here(std::move(there), std::move(setting)),
                     [&](const std::exception_ptr& bug, ExitCode) {
                       --alive;
                       died.notify();
                       if (bug) std::rethrow_exception(bug);
                     });
    }
    try {
      co_await run_linked(watch, ports, nodes, nullptr, {}, outcome);
    } catch (...) {
      failure = std::current_exception();  // the nodes are still there
    }
  }  // closes the links, which ends the nodes that have not finished
  while (alive > 0) co_await died.wait();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

Outcome launch(const Experiment& experiment, const RunPlan& plan, Placement placement,
               const TcpParams& tcp, Progress& progress) {
  Outcome outcome;
  Children children;  // outlives everything that waits for its children
  try {
    // Outlives whatever may still compute in it.
    Coordinator coordinator{experiment, plan, progress,
                            placement != Placement::in_process && plan.directory &&
                                !plan.evaluate_only && experiment.restarts_max > 0};
    asio::io_context io{1};
    Watch watch{io.get_executor(), coordinator};
    std::exception_ptr failure;
    asio::co_spawn(io,
                   placement == Placement::in_process
                       ? run_in_process(experiment, plan, watch, outcome)
                       : run_processes(experiment, plan, placement, tcp, watch, children, outcome),
                   [&](const std::exception_ptr& thrown) {
                     failure = thrown;
                     io.stop();
                   });
    io.run();
    outcome.began = coordinator.has_begun();
    outcome.signal = watch.signal;
    if (failure) std::rethrow_exception(failure);
    if (!watch.evidence.empty() && !outcome.summary) {
      const Failure cause = verdict(watch.evidence);
      outcome.code = cause.code;
      outcome.message = cause.message;
    }
  } catch (...) {
    const Failure described = describe_failure(std::current_exception());
    outcome.code = described.code;
    outcome.message = described.message;
  }
  children.wait_all(outcome.summary ? farewell_max : std::chrono::milliseconds{0});
  progress.end();
  return outcome;
}

}  // namespace lateral
