// One coroutine for each peer that is dialled.
#include "nodes/runtime/neighbours.hpp"

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace lateral {

Neighbours::Neighbours(const asio::any_io_executor& executor, Credentials credentials,
                       Identity self, Log log)
    : credentials_{std::move(credentials)},
      self_{std::move(self)},
      log_{std::move(log)},
      changed_{executor} {}

void Neighbours::set_network(Ports* network, const FrameLimits& limits) {
  network_ = network;
  limits_ = limits;
  changed_.notify();
}

void Neighbours::set_peer(const wire::Peer& peer, Reception& reception) {
  if (peer.dial())
    dialled_[peer.name()].peer = peer;
  else
    reception.expect({peer.name(), peer.generation()});
}

void Neighbours::dial() {
  dials_ = true;
  changed_.notify();
}

void Neighbours::add_link(std::unique_ptr<Link> link) {
  log_.info(fmt::format("linked to {}", link->peer()));
  if (network_ == nullptr) return;
  link->set_limits(limits_);
  network_->attach(std::move(link));
}

awaitable<void> Neighbours::run() {
  for (;;) {
    while (network_ == nullptr || !dials_) co_await changed_.wait();
    std::vector<awaitable<void>> tasks;  // a replacement has the same name
    for (const auto& [name, dialled] : dialled_) tasks.push_back(keep_linked(name));
    if (!tasks.empty()) co_await run_until_first_ends(std::move(tasks));
    while (network_ != nullptr) co_await changed_.wait();
  }
}

/// Returns when there is no network any more.
awaitable<void> Neighbours::keep_linked(std::string name) {
  for (; network_ != nullptr; co_await sleep_for(redial_interval)) {
    if (network_->needs_link(name))
      co_await try_to_link(name);
    else
      network_->probe_link(name);
  }
}

awaitable<void> Neighbours::try_to_link(std::string name) {
  Dialled& dialled = dialled_.at(name);
  const std::string address = dialled.peer.address();
  const Identity peer{name, dialled.peer.generation()};
  std::string failure;
  try {
    std::unique_ptr<Link> link =
        co_await dial_peer(address, credentials_, self_, peer, dialled.timeout);
    if (dialled.peer.generation() != peer.generation) co_return;  // replaced meanwhile
    add_link(std::move(link));
  } catch (const system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    failure = describe(error);
  }
  if (!failure.empty() && failure != dialled.last_failure) log_.warning(failure);
  dialled.last_failure = failure;
}

}  // namespace lateral
