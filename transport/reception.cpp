// The accept loop and its bounded number of handshakes.
#include "transport/reception.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

namespace lateral {
namespace {

/// Until the next attempt to accept, after one has failed because no descriptor was free.
constexpr std::chrono::milliseconds accept_retry_interval{50};

}  // namespace

Reception::Reception(const asio::any_io_executor& executor, const std::string& address,
                     Credentials credentials, Identity self, Log log, OnAdmitted on_admitted)
    : executor_{executor},
      listener_{executor, address},
      credentials_{std::move(credentials)},
      self_{std::move(self)},
      log_{std::move(log)},
      on_admitted_{std::move(on_admitted)},
      changed_{executor} {}

awaitable<void> Reception::run() {
  for (int caller = 1;; ++caller) {
    std::optional<Socket> socket;
    try {
      socket = co_await listener_.accept();
    } catch (const system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      log_refusal(describe(error));
    }
    if (!socket) {
      co_await sleep_for(accept_retry_interval);
      continue;
    }
    if (handshakes_.size() >= handshakes_max) abort_one();
    while (handshakes_.size() >= handshakes_max) co_await changed_.wait();
    start_handshake(std::move(*socket), caller);
  }
}

void Reception::start_handshake(Socket socket, int caller) {
  const auto at = handshakes_.emplace(handshakes_.end());
  at->caller = fmt::format("caller {}", caller);
  // Each handshake ends by itself within handshake_max. None outlives this object: the caller of
  // run() stops the io_context before the Reception is destroyed.
  const auto ended = [this, at](const std::exception_ptr& bug) {
    // Posted: the coroutine that is ending still refers to the signal.
    asio::post(executor_, [this, at] {
      handshakes_.erase(at);
      changed_.notify();
    });
    if (bug) std::rethrow_exception(bug);
  };
  asio::co_spawn(executor_, admit(std::move(socket), *at),
                 asio::bind_cancellation_slot(at->abort.slot(), ended));
}

std::size_t handshake_to_abort(const std::vector<Candidate>& candidates, std::minstd_rand& lot) {
  const bool all_plausible = std::all_of(candidates.begin(), candidates.end(),
                                         [](const Candidate& c) { return c.is_plausible; });
  std::map<std::string, std::vector<std::size_t>> by_host;
  for (std::size_t i = 0; i < candidates.size(); ++i)
    if (all_plausible || !candidates[i].is_plausible) by_host[candidates[i].host].push_back(i);
  std::size_t most = 0;
  for (const auto& [host, positions] : by_host) most = std::max(most, positions.size());
  // Equally many of each host: the lot is uniform over hosts, too.
  std::vector<std::size_t> eligible;
  for (const auto& [host, positions] : by_host)
    if (positions.size() == most)
      eligible.insert(eligible.end(), positions.begin(), positions.end());
  return eligible[std::uniform_int_distribution<std::size_t>(0, eligible.size() - 1)(lot)];
}

void Reception::abort_one() {
  std::vector<Handshake*> running;
  std::vector<Candidate> candidates;
  for (Handshake& handshake : handshakes_)
    if (!handshake.aborted) {
      running.push_back(&handshake);
      candidates.push_back(handshake.candidate);
    }
  if (running.empty()) return;
  Handshake& handshake = *running[handshake_to_abort(candidates, random_)];
  handshake.aborted = true;
  handshake.abort.emit(asio::cancellation_type::terminal);
}

bool Reception::expects(const Identity& peer) const {
  const auto at = expected_.find(peer.name);
  return at != expected_.end() && at->second == peer.generation;
}

awaitable<void> Reception::admit(Socket socket, Handshake& handshake) {
  try {
    handshake.candidate.host = host_of(socket);
    handshake.caller += fmt::format(" ({})", handshake.candidate.host);
    const std::function<bool(const Identity&)> expected = [this, &handshake](const Identity& peer) {
      return handshake.candidate.is_plausible = expects(peer);
    };
    AuthenticatedPeer peer = co_await authenticate_as_dialled(std::move(socket), handshake.caller,
                                                              credentials_, tls_, self_, expected);
    // The peer may have been replaced during the handshake.
    if (expects(peer.identity)) on_admitted_(peer.identity, std::move(peer.link));
  } catch (const system_error& error) {
    const bool named = std::string_view(error.what()).starts_with("caller ");
    if (handshake.aborted)
      log_refusal(fmt::format("{}: aborted in favour of another caller", handshake.caller));
    else
      log_refusal(named ? describe(error)
                        : fmt::format("{}: {}", handshake.caller, describe(error)));
  }
}

void Reception::log_refusal(const std::string& reason) {
  const auto now = std::chrono::steady_clock::now();
  if (now - log_second_ >= std::chrono::seconds{1}) {
    if (unlogged_ > 0) log_(fmt::format("refused {} more", unlogged_));
    log_second_ = now;
    logged_ = unlogged_ = 0;
  }
  if (logged_ < refusals_logged_max) {
    ++logged_;
    log_(fmt::format("refused {}", reason));
  } else {
    ++unlogged_;
  }
}

}  // namespace lateral
