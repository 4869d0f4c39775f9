// Reception: lets in the peers that are expected, and refuses, logs and forgets everybody else.
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "transport/introduce.hpp"
#include "transport/task.hpp"

namespace lateral {

/// Handshakes that may be under way at once. For one more caller another gives way: by lot, among
/// those of the host that has the most. So strangers who keep all of them busy cannot keep out a
/// peer that tries again, and those at one host hinder nobody at another.
inline constexpr std::size_t handshakes_max = 16;
/// Lines about refused callers in one second; the others are counted.
inline constexpr int refusals_logged_max = 20;

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
  /// A handshake under way.
  struct Greeting {
    std::string who, host;
    asio::cancellation_signal stop;
    bool gives_way = false;
  };
  void greet(Socket socket, int caller);
  awaitable<void> admit_caller(Socket socket, Greeting& greeting);
  void make_room();
  bool expects(const Identity& peer) const;
  void refused(const std::string& why);

  asio::any_io_executor executor_;
  Listener listener_;
  Credentials credentials_;
  std::optional<Tls> tls_;
  Identity self_;
  Log log_;
  Arrived arrived_;
  std::map<std::string, std::uint32_t> expected_;  // generation by name
  std::list<Greeting> greetings_;
  std::minstd_rand lot_{std::random_device{}()};
  Changed changed_;
  std::chrono::steady_clock::time_point log_second_{};  // began then
  int logged_ = 0, unlogged_ = 0;                       // refusals since
};

}  // namespace lateral
