// Reception: lets in the peers that are expected, and refuses, logs and forgets everybody else.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "transport/endpoint.hpp"
#include "transport/handshake.hpp"
#include "transport/task.hpp"

namespace lateral {

/// Handshakes that may be under way at once; further callers wait to be accepted.
inline constexpr int handshakes_max = 16;

class Reception {
 public:
  using Log = std::function<void(const std::string&)>;
  using Arrived = std::function<void(const Identity&, std::unique_ptr<Link>)>;
  /// `log` is told one line about each caller that was refused; `arrived` is given the link of each
  /// that was let in.
  Reception(const asio::any_io_executor& executor, const std::string& address,
            Credentials credentials, Identity self, Log log, Arrived arrived);

  const std::string& address() const { return listener_.address(); }
  /// From now on this peer may connect, as often as its connections break, and no other generation
  /// of its name.
  void expect(const Identity& peer) { expected_[peer.name] = peer.generation; }
  /// Accepts callers until cancelled.
  awaitable<void> run();

 private:
  awaitable<void> greet(Socket socket, int caller);
  bool expects(const Identity& peer) const;

  asio::any_io_executor executor_;
  Listener listener_;
  Credentials credentials_;
  Identity self_;
  Log log_;
  Arrived arrived_;
  std::map<std::string, std::uint32_t> expected_;  // generation by name
  Changed changed_;
  int greeting_ = 0;
};

}  // namespace lateral
