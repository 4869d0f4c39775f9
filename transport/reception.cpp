// The accept loop and its bounded number of handshakes.
#include "transport/reception.hpp"

#include <boost/asio/co_spawn.hpp>

namespace lateral {

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
    while (greeting_ >= handshakes_max) co_await changed_.wait();
    Socket socket = co_await listener_.accept();
    ++greeting_;
    // Each greeting ends by itself within handshake_max. None outlives this object: who runs a
    // Reception stops its io_context before the Reception goes.
    asio::co_spawn(executor_, greet(std::move(socket), caller),
                   [this](const std::exception_ptr& bug) {
                     --greeting_;
                     changed_.notify();
                     if (bug) std::rethrow_exception(bug);
                   });
  }
}

bool Reception::expects(const Identity& peer) const {
  const auto at = expected_.find(peer.name);
  return at != expected_.end() && at->second == peer.generation;
}

awaitable<void> Reception::greet(Socket socket, int caller) {
  std::unique_ptr<Link> link =
      make_socket_link(std::move(socket), "caller " + std::to_string(caller));
  try {
    const Identity peer = co_await handshake_as_dialled(
        *link, credentials_, self_, [this](const Identity& who) { return expects(who); });
    if (!expects(peer)) co_return;  // replaced while it was being greeted
    link->set_peer(peer.name);
    arrived_(peer, std::move(link));
  } catch (const system_error& error) {
    log_("refused " + describe(error));
  }
}

}  // namespace lateral
