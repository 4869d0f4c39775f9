// The accept loop and its bounded number of handshakes.
#include "transport/reception.hpp"

#include <boost/asio/co_spawn.hpp>

namespace lateral {

Reception::Reception(const asio::any_io_executor& executor, const std::string& address,
                     Credentials credentials, std::string self,
                     std::function<void(const std::string&)> log)
    : executor_{executor},
      listener_{executor, address},
      credentials_{std::move(credentials)},
      self_{std::move(self)},
      log_{std::move(log)},
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

awaitable<void> Reception::greet(Socket socket, int caller) {
  std::unique_ptr<Link> link =
      make_socket_link(std::move(socket), "caller " + std::to_string(caller));
  try {
    const auto expects = [this](const std::string& name) { return expected_.contains(name); };
    std::string name = co_await handshake_as_dialled(*link, credentials_, self_, expects);
    if (expected_.erase(name) == 0) co_return;  // came twice at once: the first is in
    link->set_peer(name);
    arrived_[name] = std::move(link);
    changed_.notify();
  } catch (const system_error& error) {
    log_("refused " + describe(error));
  }
}

awaitable<std::unique_ptr<Link>> Reception::wait_for(std::string name) {
  auto at = arrived_.find(name);
  while (at == arrived_.end()) {
    co_await changed_.wait();
    at = arrived_.find(name);
  }
  std::unique_ptr<Link> link = std::move(at->second);
  arrived_.erase(at);
  co_return link;
}

}  // namespace lateral
