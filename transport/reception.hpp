// Reception: lets in the peers that are expected, and refuses, logs and forgets everybody else.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "transport/endpoint.hpp"
#include "transport/handshake.hpp"
#include "transport/task.hpp"

namespace lateral {

/// Handshakes that may be under way at once; further callers wait to be accepted.
inline constexpr int handshakes_max = 16;

class Reception {
 public:
  /// `log` is told one line about each caller that was refused.
  Reception(const asio::any_io_executor& executor, const std::string& address,
            Credentials credentials, std::string self, std::function<void(const std::string&)> log);

  const std::string& address() const { return listener_.address(); }
  /// From now on a peer of this name may connect, once.
  void expect(const std::string& name) { expected_.insert(name); }
  /// The authenticated link of an expected peer, when it has come.
  awaitable<std::unique_ptr<Link>> wait_for(std::string name);
  /// Accepts callers until cancelled.
  awaitable<void> run();
  /// Removes the file of a Unix socket.
  void forget_path() { listener_.forget_path(); }

 private:
  awaitable<void> greet(Socket socket, int caller);

  asio::any_io_executor executor_;
  Listener listener_;
  Credentials credentials_;
  std::string self_;
  std::function<void(const std::string&)> log_;
  std::set<std::string> expected_;
  std::map<std::string, std::unique_ptr<Link>> arrived_;
  Changed changed_;
  int greeting_ = 0;
};

}  // namespace lateral
