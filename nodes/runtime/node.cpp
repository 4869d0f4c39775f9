// Everything that a node waits for: its coordinator, its peers, and its own arithmetic.
#include "nodes/runtime/node.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <thread>

#include "nodes/process/layer.hpp"
#include "nodes/runtime/ports.hpp"
#include "nodes/process/readout.hpp"
#include "nodes/runtime/router.hpp"
#include "nodes/process/source.hpp"
#include "nodes/base/usage.hpp"
#include "transport/task.hpp"

namespace lateral {
namespace {

std::unique_ptr<Process> make_process(const std::string& name, const Experiment& experiment,
                                      const wire::Assignment& assignment) {
  if (name == source_name) {
    const Position position{assignment.first_step(), assignment.first_epoch(),
                            assignment.evaluate_only(), assignment.after_snapshot(),
                            assignment.ended()};
    const std::unique_ptr<DataFormat> format = experiment.make_data_format();
    return std::make_unique<SourceProcess>(
        experiment, format->load(assignment.data_directory(), experiment.generated), position);
  }
  if (name == readout_name) return std::make_unique<ReadoutProcess>(experiment, assignment.train());
  for (std::size_t i = 0; i < experiment.layers.size(); ++i)
    if (experiment.layers[i].name == name) {
      const int threads = assignment.threads() > 0
                              ? static_cast<int>(assignment.threads())
                              : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
      return std::make_unique<LayerProcess>(experiment, i, threads);
    }
  throw UserError("node '" + name + "' is not part of the experiment");
}

/// Until all that is ready on this thread has had its turn.
awaitable<void> let_others_run() {
  auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, use_awaitable);
}

/// Where a node computes: on a thread of its own, so that what it has sent leaves meanwhile and its
/// heart beats; or, while that takes less than handing it over and back, on the thread that waits.
class Desk {
 public:
  /// `alone`: nobody else uses the thread that waits.
  Desk(asio::thread_pool& pool, bool alone) : pool_{pool}, alone_{alone} {}

  /// `kind`: of work that takes about as long each time.
  awaitable<void> work(std::size_t kind, std::function<void()> work) {
    began_ = Clock::now();
    if (alone_ && took_[kind] < inline_max) {
      work();
      note(kind);
      co_await let_others_run();  // what it sent is queued behind us
    } else {
      co_await compute_on(pool_, std::move(work));
      note(kind);
    }
  }

  wire::Heartbeat heartbeat() const {
    const auto in_ms = [](Duration time) {
      return static_cast<std::uint32_t>(
          std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
    };
    wire::Heartbeat heartbeat;
    if (began_) heartbeat.set_busy_ms(in_ms(Clock::now() - *began_));
    heartbeat.set_longest_ms(in_ms(longest_));
    return heartbeat;
  }

 private:
  using Clock = std::chrono::steady_clock;
  using Duration = Clock::duration;
  static constexpr std::chrono::microseconds inline_max{400};

  void note(std::size_t kind) {
    const Duration time = Clock::now() - *began_;
    took_[kind] = std::max<Duration>(time, took_[kind] * 9 / 10);
    longest_ = std::max(longest_, time);
    began_.reset();
  }

  asio::thread_pool& pool_;
  bool alone_;
  // Of late, decaying; long at first.
  std::array<Duration, 2> took_{std::chrono::milliseconds{10}, std::chrono::milliseconds{10}};
  Duration longest_{};
  std::optional<Clock::time_point> began_;  // the work at hand
};

/// The tensors of snapshots, on their way to the coordinator beside the node's work: each when the
/// one before has left, so that no more than that is held besides.
class HandOver {
 public:
  HandOver(Process& process, Ports& control, const asio::any_io_executor& executor)
      : process_{process}, control_{control}, changed_{executor} {}

  /// From where the process works: the marker of a snapshot passes.
  void announce(const wire::SnapshotPart& part) { announced_.push_back(part); }
  /// Before the process works again.
  void begin_announced() {
    if (announced_.empty()) return;
    due_.insert(due_.end(), announced_.begin(), announced_.end());
    announced_.clear();
    changed_.notify();
  }
  awaitable<void> done() {
    while (!due_.empty()) co_await changed_.wait();
  }
  /// Never ends by itself.
  awaitable<void> run(asio::thread_pool& pool) {
    for (;;) {
      while (due_.empty()) co_await changed_.wait();
      const wire::SnapshotPart part = due_.front();
      for (std::size_t i = 0; i < part.tensors(); ++i) {
        std::function<void()> send = [this, &part, i] {
          control_.send(coordinator_name, process_.tensor(i, part.snapshot()));
        };
        co_await compute_on(pool, std::move(send));
        co_await control_.sent_down_to(0);
      }
      due_.pop_front();
      changed_.notify();
    }
  }

 private:
  Process& process_;
  Ports& control_;
  std::vector<wire::SnapshotPart> announced_;
  std::deque<wire::SnapshotPart> due_;
  Changed changed_;
};

/// What the coordinator has told.
struct Orders {
  explicit Orders(const asio::any_io_executor& executor) : changed{executor} {}
  bool connect = false, begin = false, stop = false, leave = false;
  Changed changed;

  awaitable<void> until(bool Orders::*order) {
    while (!(this->*order)) co_await changed.wait();
  }
};

/// Does as the coordinator says, for as long as the node lives.
awaitable<void> obey(Ports& control, Ports& network, Orders& orders, const NodeSetting& setting) {
  for (;;) {
    const Message message = co_await control.receive(coordinator_name);
    const wire::Header& header = message.header;
    if (header.has_replaced()) {
      const wire::Peer& peer = header.replaced().peer();
      setting.log(peer.name() + " is replaced by its generation " +
                  std::to_string(peer.generation()));
      setting.meet(peer);
      network.detach(peer.name());
    } else if (header.has_durable()) {
      network.forget_before(snapshot_name(header.durable().snapshot()));
    } else if (header.has_connect()) {
      orders.connect = true;
    } else if (header.has_begin()) {
      orders.begin = true;
    } else if (header.has_stop()) {
      orders.stop = true;
    } else if (header.has_leave()) {
      orders.leave = true;
    } else {
      throw_transport(TransportError::unexpected_message, "from the coordinator");
    }
    orders.changed.notify();
  }
}

/// The loop of a node: what its process asks for next, then what follows from it.
awaitable<void> serve(Process& process, Router& router, Ports& control, Ports& network,
                      const Orders& orders, Desk& desk, HandOver& hand_over) {
  for (;;) {
    const Next next = process.next();
    if (next.kind == Next::Kind::finished) break;
    std::function<void()> work;
    if (next.kind == Next::Kind::produce) {
      // A source that takes another's place is where that one was, first.
      const bool stop = orders.stop && !network.says_again();
      work = [&process, &router, stop] { process.produce(stop, router); };
    } else {
      Message message = co_await network.receive(next.peer);
      auto shared = std::make_shared<Message>(std::move(message));
      work = [&process, &router, peer = next.peer, shared] {
        router.took_from(peer);
        process.handle(peer, std::move(*shared), router);
      };
    }
    const bool own = next.kind == Next::Kind::produce;
    // Others wait for what has been said, nobody for what a layer does by itself now.
    if (own) co_await let_others_run();
    if (own || !process.state_rests()) co_await hand_over.done();
    co_await desk.work(own ? 1 : 0, std::move(work));
    hand_over.begin_announced();
    co_await network.sent_down_to(outgoing_max);
    co_await control.sent_down_to(outgoing_max);
  }
  co_await hand_over.done();
  co_await network.sent_down_to(0);
}

Message finished_message(std::uint64_t messages, std::uint64_t bytes) {
  const Usage usage = own_usage();
  Message message;
  wire::Finished& fields = *message.header.mutable_finished();
  fields.set_pid(getpid());
  fields.set_peak_rss_bytes(usage.peak_rss_bytes);
  fields.set_cpu_seconds(usage.cpu_seconds);
  fields.set_messages_sent(messages);
  fields.set_bytes_sent(bytes);
  return message;
}

/// All links are made, in time.
awaitable<void> linked_in_time(Ports& network, const std::string& name) {
  try {
    co_await with_deadline(connect_max, network.all_linked());
    co_return;
  } catch (const system_error& error) {
    if (error.code() != asio::error::timed_out) throw;
  }
  throw NetworkError(name + ": not all of its peers were linked within " +
                     std::to_string(connect_max.count()) + " s");
}

/// The node's part in the run, from its first link to the last message that anybody wants.
awaitable<void> take_part(Process& process, Ports& control, Ports& network, Orders& orders,
                          const NodeSetting& setting, const wire::Assignment& assignment,
                          Desk& desk, HandOver& hand_over) {
  Message prepared;
  prepared.header.mutable_prepared();
  control.send(coordinator_name, std::move(prepared));
  co_await orders.until(&Orders::connect);
  setting.dial();
  co_await linked_in_time(network, setting.name);
  Message ready;
  process.describe(*ready.header.mutable_ready());
  control.send(coordinator_name, std::move(ready));
  setting.log("ready");
  co_await orders.until(&Orders::begin);

  Router router{control, network, assignment, [&](const wire::SnapshotPart& part) {
                  network.mark(snapshot_name(part.snapshot()));
                  hand_over.announce(part);
                }};
  co_await serve(process, router, control, network, orders, desk, hand_over);
  setting.log("finished");
  router.send(coordinator_name,
              finished_message(network.messages_sent() + control.messages_sent() + 1,
                               network.bytes_sent() + control.bytes_sent()));
  // A peer that is replaced yet may ask for what it was sent.
  co_await orders.until(&Orders::leave);
}

awaitable<void> work_for_coordinator(Ports& control, const NodeSetting& setting,
                                     const Desk*& at_work) {
  auto executor = co_await asio::this_coro::executor;
  Message listening;
  listening.header.mutable_listening()->set_address(setting.listening_address);
  control.send(coordinator_name, std::move(listening));

  Message order = co_await control.receive(coordinator_name);
  if (!order.header.has_assignment())
    throw_transport(TransportError::unexpected_message,
                    "expected an assignment from the coordinator");
  const wire::Assignment assignment = order.header.assignment();
  const Experiment experiment = parse_experiment(assignment.experiment(), "assignment", {});
  if (experiment.digest != setting.digest)
    throw_transport(TransportError::wrong_configuration, "the assignment of the coordinator");

  std::unique_ptr<Process> process;
  Ports network{
      executor,
      {.in_flight = experiment.messages_in_flight(), .relinks = assignment.recoverable()}};
  asio::thread_pool pool{1};  // joined before what it works on goes
  std::function<void()> make = [&] {
    process = make_process(setting.name, experiment, assignment);
  };
  co_await compute_on(pool, std::move(make));

  for (std::uint32_t i = 0; i < assignment.tensors(); ++i) {
    Message message = co_await control.receive(coordinator_name);
    if (!message.header.has_tensor())
      throw_transport(TransportError::unexpected_message, "expected state from the coordinator");
    std::function<void()> restore = [&] {
      const std::string name = message.header.tensor().name();
      process->restore(name, std::move(message));
    };
    co_await compute_on(pool, std::move(restore));
  }
  process->restored();

  std::map<std::string, wire::Count> counts;
  for (const wire::Count& count : assignment.counts()) counts[count.peer()] = count;
  for (const wire::Peer& peer : assignment.peers()) {
    const wire::Count& before = counts[peer.name()];
    network.add(peer.name(), Stream(assignment.recoverable(), before.sent(), before.received()),
                process->refill());
  }
  Orders orders{executor};
  Desk desk{pool, setting.own_process};
  HandOver hand_over{*process, control, executor};
  asio::thread_pool copying{1};
  at_work = &desk;
  setting.join(&network, {header_bytes_max, experiment.batch_bytes_max()});
  for (const wire::Peer& peer : assignment.peers()) setting.meet(peer);
  std::vector<awaitable<void>> tasks;
  tasks.push_back(network.run());
  tasks.push_back(obey(control, network, orders, setting));
  tasks.push_back(hand_over.run(copying));
  tasks.push_back(
      take_part(*process, control, network, orders, setting, assignment, desk, hand_over));
  std::exception_ptr failure;
  try {
    co_await run_until_first_ends(std::move(tasks));
  } catch (...) {
    failure = std::current_exception();
  }
  at_work = nullptr;
  setting.join(nullptr, {});
  if (failure) std::rethrow_exception(failure);
}

/// Does the work; tells the coordinator if it failed. Ends when everything said has been sent.
awaitable<void> work_and_report(Ports& control, const NodeSetting& setting, const Desk*& at_work,
                                ExitCode& code) {
  std::exception_ptr failure;
  try {
    co_await work_for_coordinator(control, setting, at_work);
  } catch (const system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;  // the node is ending, not this
    failure = std::current_exception();
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    const Failure described = describe_failure(failure);
    code = described.code;
    setting.log(described.message);
    Message message;
    message.header.mutable_failed()->set_exit_code(static_cast<int>(described.code));
    message.header.mutable_failed()->set_message(described.message);
    control.send(coordinator_name, std::move(message));
  }
  co_await sleep_for(std::chrono::milliseconds{0});  // lets what was sent be queued
  co_await control.sent_down_to(0);
}

awaitable<void> beat(Ports& control, const Desk* const& at_work) {
  for (;;) {
    Message heartbeat;
    heartbeat.header.mutable_heartbeat();
    if (at_work != nullptr) *heartbeat.header.mutable_heartbeat() = at_work->heartbeat();
    control.send_aside(coordinator_name, std::move(heartbeat));
    co_await sleep_for(heartbeat_interval);
  }
}

awaitable<void> until_coordinator_lost(Ports& control, const NodeSetting& setting) {
  std::exception_ptr lost;
  try {
    co_await control.until_closed(coordinator_name);
  } catch (const NetworkError& error) {
    lost = std::current_exception();
    setting.log(error.what());
  }
  // A process of its own must not outlive its run, not even to finish a product of matrices.
  if (setting.own_process) std::_Exit(static_cast<int>(ExitCode::network));
  if (lost) std::rethrow_exception(lost);
}

}  // namespace

awaitable<ExitCode> node_life(Ports& control, NodeSetting setting) {
  ExitCode code = ExitCode::done;
  const Desk* at_work = nullptr;
  std::vector<awaitable<void>> tasks;
  tasks.push_back(control.run());
  tasks.push_back(beat(control, at_work));
  tasks.push_back(until_coordinator_lost(control, setting));
  tasks.push_back(work_and_report(control, setting, at_work, code));
  try {
    co_await run_until_first_ends(std::move(tasks));
  } catch (const NetworkError&) {
    code = ExitCode::network;
  }
  co_return code;
}

}  // namespace lateral
