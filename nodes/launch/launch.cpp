// Everything that a coordinator waits for: nodes that call, speak, fall silent or die, and signals.
#include "nodes/launch/launch.hpp"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/thread_pool.hpp>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <set>

#include "nodes/launch/children.hpp"
#include "nodes/launch/verdict.hpp"
#include "nodes/node.hpp"
#include "nodes/ports.hpp"
#include "transport/memory_link.hpp"
#include "transport/reception.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

/// What is known of a run that is going on.
struct Watch {
  Watch(const asio::any_io_executor& executor, Coordinator& c) : coordinator{c}, changed{executor} {}

  void blame(Evidence item) {
    evidence.push_back(std::move(item));
    changed.notify();
  }

  Coordinator& coordinator;  // handles messages on another thread: only converse() may ask it
  bool begun = false;
  std::function<void()> on_begin = [] {};
  std::set<std::string> finished;
  std::vector<Evidence> evidence;
  int signal = 0;
  bool give_up = false;  // a second signal, or a stop that takes too long
  Changed changed;
};

/// A folder for the sockets that only this user can enter; removed as soon as nobody needs it.
class SocketFolder {
 public:
  SocketFolder() {
    const char* base = std::getenv("TMPDIR");
    std::string pattern = std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/lateral-XXXXXX";
    // The address of a Unix socket holds 107 characters, and a node name has up to 64.
    if (pattern.size() > 36) pattern = "/tmp/lateral-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr)
      throw UserError(pattern + ": cannot make a folder for sockets: " + std::strerror(errno));
    path_ = pattern;
  }
  ~SocketFolder() { remove(); }
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;
  void remove() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
    path_.clear();
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// ---- What is watched. Each of these runs until it is cancelled, unless it says otherwise.

awaitable<void> watch_signals(Watch& watch, Ports* ports) {  // no ports: nothing has begun
  asio::signal_set signals{co_await asio::this_coro::executor, SIGINT, SIGTERM};
  for (;;) {
    const int signal = co_await signals.async_wait(use_awaitable);
    const bool first = watch.signal == 0;
    watch.signal = signal;
    if (first && watch.begun)
      Coordinator::stop(*ports);
    else
      watch.give_up = true;
    watch.changed.notify();
  }
}

bool lost_another(int status) {
  return WIFEXITED(status) && WEXITSTATUS(status) == static_cast<int>(ExitCode::network);
}

awaitable<void> watch_children(Watch& watch, Children& children) {
  asio::signal_set signals{co_await asio::this_coro::executor, SIGCHLD};
  for (;;) {
    // One that ended with 0 has said so; its last messages may still wait to be read, and if it has
    // not, the closed link behind them tells.
    for (const Children::Ended& ended : children.reap())
      if (!watch.finished.contains(ended.name) && ended.status != 0)
        watch.blame({lost_another(ended.status) ? Evidence::Kind::lost_another : Evidence::Kind::died, ended.name,
                     ExitCode::network, "(pid " + std::to_string(ended.pid) + ") " + describe_status(ended.status)});
    co_await signals.async_wait(use_awaitable);
  }
}

awaitable<void> watch_silence(Watch& watch, const Ports& ports, const std::vector<NodeSpec>& nodes) {
  std::map<std::string, std::uint64_t> heard;
  std::map<std::string, int> silent_ticks;
  for (;;) {
    co_await sleep_for(heartbeat_interval);
    for (const NodeSpec& node : nodes) {
      const std::uint64_t now = ports.heard(node.name);
      // A closed port is converse()'s to judge; one that is not being read is our delay, not theirs.
      const bool ours = ports.closed(node.name) || ports.unread(node.name);
      silent_ticks[node.name] = now == heard[node.name] && !ours ? silent_ticks[node.name] + 1 : 0;
      heard[node.name] = now;
      if (silent_ticks[node.name] < silent_ticks_max) continue;
      watch.blame({Evidence::Kind::silent, node.name, ExitCode::network,
                   "has been silent for " +
                       std::to_string(silent_ticks_max * heartbeat_interval.count()) + " ms"});
    }
  }
}

/// Ends when there is enough evidence for a verdict, or the user has had enough.
awaitable<void> decide(Watch& watch) {
  while (watch.evidence.empty() && !watch.give_up) co_await watch.changed.wait();
  if (!watch.give_up) co_await sleep_for(evidence_max);
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
    auto [node, message] = co_await ports.receive_any();
    if (!message) {
      if (!watch.finished.contains(node))
        watch.blame({Evidence::Kind::link_closed, node, ExitCode::network, "closed its link to the coordinator"});
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
    std::function<void()> work = [&coordinator, &ports, &node = node, &message = message] {
      coordinator.handle(node, *message, ports);
    };
    co_await asio::co_spawn(pool, [](std::function<void()> w) -> awaitable<void> { w(); co_return; }(std::move(work)),
                            use_awaitable);
    if (!watch.begun && coordinator.has_begun()) {
      watch.begun = true;
      watch.on_begin();
    }
    if (message->header.has_finished()) watch.finished.insert(node);
    co_await ports.sent_down_to(outgoing_max);
  }
}

NodeSummary own_summary(const Ports& ports) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return {coordinator_name,
          "coordinator",
          getpid(),
          static_cast<std::uint64_t>(usage.ru_maxrss) * 1024,
          seconds(usage.ru_utime) + seconds(usage.ru_stime),
          ports.messages_sent(),
          ports.bytes_sent()};
}

/// How lines of the coordinator's own log are written.
std::function<void(const std::string&)> file_log(const RunPlan& plan, const std::string& node) {
  if (!plan.directory) return [](const std::string&) {};
  const fs::path path = plan.directory->log(node);
  std::ofstream{path, std::ios::app};  // there from the start
  return [path](const std::string& line) { std::ofstream{path, std::ios::app} << one_line(line) << "\n"; };
}

/// The conversation with a network whose nodes are all linked to us.
awaitable<void> run_linked(Watch& watch, Ports& ports, const std::vector<NodeSpec>& nodes, Children* children,
                           Outcome& outcome) {
  asio::thread_pool pool{1};
  std::vector<awaitable<void>> tasks;
  tasks.push_back(ports.run());
  tasks.push_back(converse(watch, ports, nodes.size(), pool));
  tasks.push_back(decide(watch));
  tasks.push_back(watch_signals(watch, &ports));
  tasks.push_back(give_up_when_stopping_takes_too_long(watch));
  if (children != nullptr) {
    tasks.push_back(watch_children(watch, *children));
    tasks.push_back(watch_silence(watch, ports, nodes));
  }
  co_await run_until_first_ends(std::move(tasks));
  if (watch.finished.size() == nodes.size()) outcome.summary = watch.coordinator.conclude(own_summary(ports));
  watch.coordinator.flush();
}

// ---- A process a node

std::string node_address(Placement placement, const fs::path& folder, const std::string& name) {
  return placement == Placement::unix_sockets ? "unix:" + (folder / name).string() : "tcp:127.0.0.1:0";
}

awaitable<void> collect_callers(Reception& reception, const std::vector<NodeSpec>& nodes, Ports& ports,
                                const FrameLimits& limits) {
  for (const NodeSpec& node : nodes) {
    std::unique_ptr<Link> link = co_await reception.wait_for(node.name);
    link->set_limits(limits);
    ports.add(std::move(link));
  }
}

awaitable<void> start_deadline(Watch& watch, const std::vector<NodeSpec>& nodes, const Ports& ports) {
  co_await sleep_for(start_max);
  for (const NodeSpec& node : nodes)
    if (!ports.has(node.name))
      watch.blame({Evidence::Kind::silent, node.name, ExitCode::network,
                   "has not called within " + std::to_string(start_max.count()) + " s"});
  co_await sleep_for(start_max);
}

awaitable<void> run_processes(const Experiment& experiment, const RunPlan& plan, Placement placement,
                              Watch& watch, Children& children, Outcome& outcome) {
  auto executor = co_await asio::this_coro::executor;
  const std::vector<NodeSpec> nodes = network_nodes(experiment);
  SocketFolder folder;
  const Credentials credentials{make_secret(), experiment.digest};
  Reception reception{executor, node_address(placement, folder.path(), coordinator_name), credentials,
                      coordinator_name, file_log(plan, coordinator_name)};
  for (const NodeSpec& node : nodes) reception.expect(node.name);
  for (const NodeSpec& node : nodes)
    children.start(node.name,
                   {"node", "--name", node.name, "--coordinator", reception.address(), "--digest",
                    to_hex(experiment.digest), "--secret", secret_path, "--listen",
                    node_address(placement, folder.path(), node.name)},
                   plan.directory ? plan.directory->log(node.name) : fs::path("/dev/null"), credentials.secret);

  Ports ports{executor};
  const FrameLimits limits{header_bytes_max, experiment.tensor_bytes_max()};
  {
    std::vector<awaitable<void>> tasks;
    tasks.push_back(collect_callers(reception, nodes, ports, limits));
    tasks.push_back(reception.run());
    tasks.push_back(decide(watch));
    tasks.push_back(watch_children(watch, children));
    tasks.push_back(watch_signals(watch, nullptr));
    tasks.push_back(start_deadline(watch, nodes, ports));
    co_await run_until_first_ends(std::move(tasks));
  }
  if (!watch.evidence.empty() || watch.give_up) co_return;
  // Strangers keep being refused while the network runs; over Unix sockets they cannot even call.
  watch.on_begin = [&folder] { folder.remove(); };
  std::vector<awaitable<void>> tasks;
  tasks.push_back(reception.run());
  tasks.push_back(run_linked(watch, ports, nodes, &children, outcome));
  co_await run_until_first_ends(std::move(tasks));
}

// ---- All nodes within this process

awaitable<void> run_in_process(const Experiment& experiment, const RunPlan& plan, Watch& watch, Outcome& outcome) {
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
  {
    Ports ports{executor};
    for (const NodeSpec& node : nodes) {
      auto [here, there] = make_memory_links(executor, coordinator_name, node.name);
      here->set_limits({header_bytes_max, experiment.tensor_bytes_max()});
      ports.add(std::move(here));
      NodeSetting setting;
      setting.name = node.name;
      setting.own_process = false;
      setting.log = file_log(plan, node.name);
      auto own = std::make_shared<std::vector<std::unique_ptr<Link>>>(std::move(links[node.name]));
      setting.expect = [](const wire::Assignment&) {};
      setting.connect = [own](const wire::Assignment&) -> awaitable<std::vector<std::unique_ptr<Link>>> {
        co_return std::move(*own);
      };
      asio::co_spawn(executor, node_life(std::move(there), std::move(setting)),
                     [&](const std::exception_ptr& failure, ExitCode) {
                       --alive;
                       died.notify();
                       if (failure) std::rethrow_exception(failure);
                     });
    }
    co_await run_linked(watch, ports, nodes, nullptr, outcome);
  }  // closes the links, which ends the nodes that have not finished
  while (alive > 0) co_await died.wait();
}

}  // namespace

Outcome launch(const Experiment& experiment, const RunPlan& plan, Placement placement, Progress& progress) {
  Outcome outcome;
  Children children;  // outlives everything that waits for its children
  try {
    asio::io_context io{1};
    Coordinator coordinator{experiment, plan, progress};
    Watch watch{io.get_executor(), coordinator};
    // Holds the signals from here to the end, whoever waits for them in between.
    const asio::signal_set held{io, SIGINT, SIGTERM, SIGCHLD};
    std::exception_ptr failure;
    asio::co_spawn(io,
                   placement == Placement::in_process
                       ? run_in_process(experiment, plan, watch, outcome)
                       : run_processes(experiment, plan, placement, watch, children, outcome),
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
  constexpr std::chrono::milliseconds farewell_max{2000};
  children.wait_all(outcome.summary ? farewell_max : std::chrono::milliseconds{0});
  progress.end();
  return outcome;
}

namespace {

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::strtol(hex.substr(i, 2).c_str(), nullptr, 16));
  return bytes;
}

awaitable<std::unique_ptr<Link>> call_peer(std::string address, Credentials credentials, std::string self,
                                           std::string peer) {
  Socket socket = co_await dial(address);
  std::unique_ptr<Link> link = make_socket_link(std::move(socket), peer);
  co_await handshake_as_dialler(*link, credentials, self, peer);
  co_return link;
}

awaitable<std::vector<std::unique_ptr<Link>>> connect_peers(const wire::Assignment& assignment, Reception& reception,
                                                            Credentials credentials, std::string self) {
  std::vector<std::unique_ptr<Link>> links;
  for (const wire::Peer& peer : assignment.peers()) {
    std::unique_ptr<Link> link;
    if (peer.dial())
      link = co_await call_peer(peer.address(), credentials, self, peer.name());
    else
      link = co_await reception.wait_for(peer.name());
    links.push_back(std::move(link));
  }
  reception.forget_path();  // over a Unix socket nobody else can call from now on
  co_return links;
}

awaitable<void> live(const NodeCall& call, Credentials credentials, ExitCode& code) {
  auto executor = co_await asio::this_coro::executor;
  const auto log = [](const std::string& line) { std::cerr << one_line(line) << std::endl; };
  Reception reception{executor, call.listen, credentials, call.name, log};
  std::unique_ptr<Link> control = co_await call_peer(call.coordinator, credentials, call.name, coordinator_name);
  NodeSetting setting;
  setting.name = call.name;
  setting.listening_address = reception.address();
  setting.log = log;
  setting.expect = [&reception](const wire::Assignment& assignment) {
    for (const wire::Peer& peer : assignment.peers())
      if (!peer.dial()) reception.expect(peer.name());
  };
  setting.connect = [&reception, credentials, self = call.name](const wire::Assignment& assignment) {
    return connect_peers(assignment, reception, credentials, self);
  };
  std::vector<awaitable<void>> tasks;
  tasks.push_back(reception.run());
  tasks.push_back([](std::unique_ptr<Link> link, NodeSetting s, ExitCode& c) -> awaitable<void> {
    c = co_await node_life(std::move(link), std::move(s));
  }(std::move(control), std::move(setting), code));
  co_await run_until_first_ends(std::move(tasks));
}

}  // namespace

ExitCode run_node(const NodeCall& call) {
  ExitCode code = ExitCode::our_bug;
  const Credentials credentials{read_secret(call.secret_file), from_hex(call.digest_hex)};
  asio::io_context io{1};
  std::exception_ptr failure;
  asio::co_spawn(io, live(call, credentials, code), [&](const std::exception_ptr& thrown) {
    failure = thrown;
    io.stop();
  });
  io.run();
  if (failure) std::rethrow_exception(failure);
  return code;
}

}  // namespace lateral
