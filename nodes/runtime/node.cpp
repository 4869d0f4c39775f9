// The coroutines that wait for a session: for messages, for its tasks, and for time.
#include "nodes/runtime/node.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "nodes/base/usage.hpp"
#include "nodes/process/make_process.hpp"
#include "nodes/runtime/node_session.hpp"
#include "nodes/runtime/work_executor.hpp"
#include "transport/task.hpp"

namespace lateral {
namespace {

/// The links of a session: one port to the coordinator and, once they are known, one to each peer.
class PortLinks final : public NodeLinks {
 public:
  PortLinks(Ports& control, const NodeSetting& setting, asio::any_io_executor executor,
            std::function<void()> on_change)
      : control_{control},
        setting_{setting},
        executor_{std::move(executor)},
        on_change_{std::move(on_change)} {
    control_.on_change(on_change_);
  }
  ~PortLinks() override {
    control_.on_change({});
    setting_.set_network(nullptr, {});
  }

  void send(const std::string& peer, Message message) override {
    (peer == coordinator_name ? control_ : *network_).send(peer, std::move(message));
  }
  void open(NetworkPlan plan) override {
    network_.emplace(executor_,
                     PortsParams{.in_flight = plan.in_flight, .relinks = plan.recoverable});
    network_->on_change(on_change_);
    for (NetworkPlan::Peer& peer : plan.peers)
      network_->add(peer.peer.name(), std::move(peer.stream));
    setting_.set_network(&*network_, {header_bytes_max, plan.body_bytes_max});
    for (const NetworkPlan::Peer& peer : plan.peers) setting_.set_peer(peer.peer);
  }
  void dial() override { setting_.dial_peers(); }
  void replace(const wire::Peer& peer) override {
    setting_.set_peer(peer);
    network_->detach(peer.name());
  }
  void forget(const std::string& peer, std::uint64_t through) override {
    network_->forget(peer, through);
  }
  std::optional<Message> read(const std::string& peer) override { return network_->read(peer); }
  std::size_t unsent_to_peers() const override { return network_->unsent(); }
  std::size_t unsent_to_coordinator() const override { return control_.unsent(); }
  bool all_linked() const override { return network_->all_linked(); }
  bool is_replaying() const override { return network_->is_replaying(); }
  wire::Finished usage() const override {
    const Usage usage = own_usage();
    wire::Finished fields;
    fields.set_pid(getpid());
    fields.set_peak_rss_bytes(usage.peak_rss_bytes);
    fields.set_cpu_seconds(usage.cpu_seconds);
    // Includes the message that reports it.
    fields.set_messages_sent(network_->messages_sent() + control_.messages_sent() + 1);
    fields.set_bytes_sent(network_->bytes_sent() + control_.bytes_sent());
    return fields;
  }

  /// The ports of the peers, once they are known.
  std::optional<Ports>& network() { return network_; }

 private:
  Ports& control_;
  const NodeSetting& setting_;
  asio::any_io_executor executor_;
  std::function<void()> on_change_;
  std::optional<Ports> network_;
};

/// Runs a session: passes the coordinator's messages to it, and carries out its tasks and copies.
class SessionRunner {
 public:
  SessionRunner(const asio::any_io_executor& executor, Ports& control, const NodeSetting& setting,
                WorkExecutor& work)
      : control_{control},
        setting_{setting},
        work_{work},
        links_{control, setting, executor, [this] { on_event(); }},
        session_{{setting.name, setting.digest, setting.generation},
                 [&setting](const Experiment& experiment, const wire::Assignment& assignment) {
                   return make_process(setting.name, experiment, assignment);
                 },
                 links_,
                 setting.log},
        task_available_{executor},
        copy_possible_{executor},
        state_changed_{executor} {}
  ~SessionRunner() { work_.stop(); }
  SessionRunner(const SessionRunner&) = delete;
  SessionRunner& operator=(const SessionRunner&) = delete;

  /// Returns when the session is leaving.
  awaitable<void> run() {
    session_.start(setting_.listening_address);
    std::vector<awaitable<void>> tasks;
    tasks.push_back(run_tasks());
    tasks.push_back(take_messages());
    tasks.push_back(run_copies());
    tasks.push_back(run_network());
    tasks.push_back(limit_linking_time());
    co_await run_until_first_ends(std::move(tasks));
  }

 private:
  using State = NodeSession::State;

  /// To be called after every event. Resumes only coroutines that have something to do.
  void on_event() {
    if (!task_) task_ = session_.next_task();
    if (task_ || session_.state() == State::leaving) task_available_.notify();
    if (session_.has_copies()) copy_possible_.notify();
    state_changed_.notify();
  }

  awaitable<void> run_tasks() {
    while (session_.state() != State::leaving) {
      if (!task_) {
        co_await task_available_.wait();
        continue;
      }
      NodeSession::Task task = std::move(*task_);
      task_.reset();
      co_await work_.run(std::move(task));
      session_.task_done();
      on_event();
    }
  }

  // ---- Each of these runs until it is cancelled

  awaitable<void> take_messages() {
    for (;;) {
      while (!session_.takes_message()) co_await state_changed_.wait();
      Message message = co_await control_.receive(coordinator_name);
      session_.handle(std::move(message));
      on_event();
    }
  }

  awaitable<void> run_copies() {
    for (;;) {
      std::optional<std::function<void()>> copy = session_.next_copy();
      if (!copy) {
        co_await copy_possible_.wait();
        continue;
      }
      co_await compute_on(copy_pool_, std::move(*copy));
      session_.copy_done();
      on_event();
    }
  }

  awaitable<void> run_network() {
    while (!links_.network()) co_await state_changed_.wait();
    co_await links_.network()->run();
  }

  awaitable<void> limit_linking_time() {
    while (session_.state() < State::linking) co_await state_changed_.wait();
    for (;;) {
      co_await sleep_for(connect_max);
      if (session_.state() == State::linking)
        throw NetworkError(fmt::format("{}: not all of its peers were linked within {} s",
                                       setting_.name, connect_max.count()));
    }
  }

  Ports& control_;
  const NodeSetting& setting_;
  WorkExecutor& work_;
  PortLinks links_;
  NodeSession session_;
  std::optional<NodeSession::Task> task_;  // to be run next
  Changed task_available_, copy_possible_, state_changed_;
  asio::thread_pool copy_pool_{1};  // joined before the process that it copies from is destroyed
};

awaitable<void> run_session(Ports& control, const NodeSetting& setting, WorkExecutor& work) {
  SessionRunner runner{co_await asio::this_coro::executor, control, setting, work};
  co_await runner.run();
}

/// Reports a failure of the session to the coordinator. Returns when everything has been sent.
awaitable<void> run_session_and_report(Ports& control, const NodeSetting& setting,
                                       WorkExecutor& work, ExitCode& code) {
  std::exception_ptr failure;
  try {
    co_await run_session(control, setting, work);
  } catch (const system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;  // cancelled from outside
    failure = std::current_exception();
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    const Failure described = describe_failure(failure);
    code = described.code;
    setting.log.error(described.message);
    Message message;
    message.header.mutable_failed()->set_exit_code(static_cast<int>(described.code));
    message.header.mutable_failed()->set_message(
        described.message.substr(0, failure_text_bytes_max));
    control.send(coordinator_name, std::move(message));
  }
  co_await sleep_for(std::chrono::milliseconds{0});  // until sent messages have been queued
  co_await control.unsent_at_most(0);
}

awaitable<void> send_heartbeats(Ports& control, const WorkExecutor& work) {
  for (;;) {
    Message heartbeat;
    *heartbeat.header.mutable_heartbeat() = work.heartbeat();
    control.send_unsequenced(coordinator_name, std::move(heartbeat));
    co_await sleep_for(heartbeat_interval);
  }
}

awaitable<void> until_coordinator_lost(Ports& control, const NodeSetting& setting) {
  std::exception_ptr lost;
  try {
    co_await control.until_closed(coordinator_name);
  } catch (const NetworkError& error) {
    lost = std::current_exception();
    setting.log.error(error.what());
  }
  // A node process must not outlive its run, not even to complete a matrix product.
  if (setting.own_process) std::_Exit(static_cast<int>(ExitCode::network));
  if (lost) std::rethrow_exception(lost);
}

}  // namespace

awaitable<ExitCode> run_node_session(Ports& control, NodeSetting setting) {
  ExitCode code = ExitCode::done;
  WorkExecutor work{setting.own_process};
  std::vector<awaitable<void>> tasks;
  tasks.push_back(control.run());
  tasks.push_back(send_heartbeats(control, work));
  tasks.push_back(until_coordinator_lost(control, setting));
  tasks.push_back(run_session_and_report(control, setting, work, code));
  try {
    co_await run_until_first_ends(std::move(tasks));
  } catch (const NetworkError&) {
    code = ExitCode::network;
  }
  co_return code;
}

}  // namespace lateral
