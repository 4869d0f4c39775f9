// Links in memory, and all nodes as coroutines of one thread.
#include "nodes/launch/in_process_launcher.hpp"

#include <boost/asio/co_spawn.hpp>
#include <stdexcept>
#include <utility>

#include "nodes/base/log.hpp"
#include "nodes/experiment/topology.hpp"
#include "nodes/runtime/node.hpp"
#include "nodes/runtime/ports.hpp"
#include "transport/memory_link.hpp"

namespace lateral {
namespace {

awaitable<ExitCode> run_node(std::unique_ptr<Link> to_coordinator, NodeSetting setting) {
  auto executor = co_await asio::this_coro::executor;
  Ports control{executor};
  control.add(coordinator_name, Stream());
  control.attach(std::move(to_coordinator));
  const ExitCode code = co_await run_node_session(control, std::move(setting));
  co_return code;
}

}  // namespace

InProcessLauncher::InProcessLauncher(const asio::any_io_executor& executor,
                                     const Experiment& experiment,
                                     std::optional<RunDirectory> directory)
    : executor_{executor},
      experiment_{experiment},
      directory_{std::move(directory)},
      ended_{executor} {
  for (const auto& [first, second] : experiment.topology.links()) {
    auto [end_of_first, end_of_second] = make_memory_links(executor, first, second);
    links_[first].push_back(std::move(end_of_first));
    links_[second].push_back(std::move(end_of_second));
  }
}

void InProcessLauncher::start(const std::string& node, std::uint32_t) {
  auto [coordinator_end, node_end] = make_memory_links(executor_, coordinator_name, node);
  node_end->set_limits({header_bytes_max, control_body_bytes_max});
  NodeSetting setting;
  setting.name = node;
  setting.own_process = false;
  setting.digest = experiment_.digest;
  setting.log = directory_ ? Log::to_file(directory_->log(node)) : Log();
  const auto links =
      std::make_shared<std::vector<std::unique_ptr<Link>>>(std::exchange(links_[node], {}));
  setting.set_network = [links](Ports* network, const FrameLimits& limits) {
    if (network == nullptr) return;
    for (std::unique_ptr<Link>& link : *links) {
      link->set_limits(limits);
      network->attach(std::move(link));
    }
  };
  setting.set_peer = [](const wire::Peer&) {};
  setting.dial_peers = [] {};
  ++running_;
  asio::co_spawn(executor_, run_node(std::move(node_end), std::move(setting)),
                 [this](const std::exception_ptr& bug, ExitCode) {
                   --running_;
                   ended_.notify();
                   if (bug) std::rethrow_exception(bug);
                 });
  events().linked(std::move(coordinator_end));
}

void InProcessLauncher::stop(const std::string&) {
  throw std::logic_error("a single node within this process cannot be stopped");
}

awaitable<void> InProcessLauncher::run() {
  for (;;) co_await ended_.wait();  // the end of a node is visible as a closed link
}

awaitable<void> InProcessLauncher::finish(std::chrono::milliseconds) {
  while (running_ > 0) co_await ended_.wait();
}

}  // namespace lateral
