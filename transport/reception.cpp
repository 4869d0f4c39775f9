// The accept loop and its bounded number of handshakes.
#include "transport/reception.hpp"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

namespace lateral {
namespace {

/// Until the next attempt where the system has no more descriptors.
constexpr std::chrono::milliseconds accept_again{50};

}  // namespace

Reception::Reception(const asio::any_io_executor& executor, const std::string& address,
                     Credentials credentials, Identity self, Log log, Arrived arrived)
    : executor_{executor},
      listener_{executor, address},
      credentials_{std::move(credentials)},
      self_{std::move(self)},
      log_{std::move(log)},
      arrived_{std::move(arrived)},
      changed_{executor} {}

awaitable<void> Reception::run() {
  for (int caller = 1;; ++caller) {
    std::optional<Socket> socket;
    try {
      socket = co_await listener_.accept();
    } catch (const system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      refused(describe(error));
    }
    if (!socket) {
      co_await sleep_for(accept_again);
      continue;
    }
    if (greetings_.size() >= handshakes_max) make_room();
    while (greetings_.size() >= handshakes_max) co_await changed_.wait();
    greet(std::move(*socket), caller);
  }
}

void Reception::greet(Socket socket, int caller) {
  const auto at = greetings_.emplace(greetings_.end());
  at->who = "caller " + std::to_string(caller);
  // Each greeting ends by itself within handshake_max. None outlives this object: who runs a
  // Reception stops its io_context before the Reception goes.
  const auto ended = [this, at](const std::exception_ptr& bug) {
    // Not now: the coroutine that ends still holds on to the signal.
    asio::post(executor_, [this, at] {
      greetings_.erase(at);
      changed_.notify();
    });
    if (bug) std::rethrow_exception(bug);
  };
  asio::co_spawn(executor_, admit_caller(std::move(socket), *at),
                 asio::bind_cancellation_slot(at->stop.slot(), ended));
}

void Reception::make_room() {
  std::map<std::string, std::vector<Greeting*>> by_host;
  for (Greeting& greeting : greetings_)
    if (!greeting.gives_way) by_host[greeting.host].push_back(&greeting);
  if (by_host.empty()) return;
  const auto& most = std::max_element(by_host.begin(), by_host.end(), [](auto& a, auto& b) {
                       return a.second.size() < b.second.size();
                     })->second;
  Greeting& greeting = *most[lot_() % most.size()];
  greeting.gives_way = true;
  greeting.stop.emit(asio::cancellation_type::terminal);
}

bool Reception::expects(const Identity& peer) const {
  const auto at = expected_.find(peer.name);
  return at != expected_.end() && at->second == peer.generation;
}

awaitable<void> Reception::admit_caller(Socket socket, Greeting& greeting) {
  try {
    greeting.host = host_of(socket);
    greeting.who += " (" + greeting.host + ")";
    const std::function<bool(const Identity&)> expected = [this](const Identity& who) {
      return expects(who);
    };
    Visitor visitor =
        co_await admit(std::move(socket), greeting.who, credentials_, tls_, self_, expected);
    // It may have been replaced while it was being greeted.
    if (expects(visitor.identity)) arrived_(visitor.identity, std::move(visitor.link));
  } catch (const system_error& error) {
    const bool named = std::string_view(error.what()).starts_with("caller ");
    refused(greeting.gives_way ? greeting.who + ": gave way to another"
                               : (named ? "" : greeting.who + ": ") + describe(error));
  }
}

void Reception::refused(const std::string& why) {
  const auto now = std::chrono::steady_clock::now();
  if (now - log_second_ >= std::chrono::seconds{1}) {
    if (unlogged_ > 0) log_("refused " + std::to_string(unlogged_) + " more");
    log_second_ = now;
    logged_ = unlogged_ = 0;
  }
  if (logged_ < refusals_logged_max) {
    ++logged_;
    log_("refused " + why);
  } else {
    ++unlogged_;
  }
}

}  // namespace lateral
