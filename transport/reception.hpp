// Reception: accepts the peers that are expected, and refuses and logs all other callers.
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "transport/authenticate.hpp"
#include "transport/task.hpp"

namespace lateral {

/// Handshakes that may be under way at once. For one more caller one of them is aborted, see
/// handshake_to_abort().
inline constexpr std::size_t handshakes_max = 64;

/// A handshake that is under way, as far as it matters for the choice of one to abort.
struct Candidate {
  std::string host;           ///< see host_of()
  bool is_plausible = false;  ///< it has shown the configuration's digest and an expected name
};
/// The position of the handshake to abort for one more caller: among those that are not plausible,
/// if there are any, one of the host that has the most, and by lot among such hosts and among its
/// handshakes. So callers at fewer than handshakes_max - 1 hosts cannot affect one at another host
/// at all; with more hosts each call aborts it with a probability of at most 1/handshakes_max: a
/// handshake that takes d seconds until it is plausible survives r calls a second with a
/// probability of at least (1 - 1/handshakes_max)^(r d). The same holds if all callers are at its
/// own host; where that host is one of several, it may be less.
///   lot: uniform random numbers
/// REQUIRES: candidates is not empty
std::size_t handshake_to_abort(const std::vector<Candidate>& candidates, std::minstd_rand& lot);
/// Refused callers that are logged in one second; the others are counted.
inline constexpr int refusals_logged_max = 20;

class Reception {
 public:
  using Log = std::function<void(const std::string&)>;
  using OnAdmitted = std::function<void(const Identity&, std::unique_ptr<Link>)>;
  /// `log` is called with one line about each caller that was refused, `on_admitted` with the link
  /// of each peer that was admitted.
  Reception(const asio::any_io_executor& executor, const std::string& address,
            Credentials credentials, Identity self, Log log, OnAdmitted on_admitted);

  const std::string& address() const { return listener_.address(); }
  /// From now on this generation of a peer may connect, any number of times, and no other.
  void expect(const Identity& peer) { expected_[peer.name] = peer.generation; }
  /// Accepts callers until cancelled.
  awaitable<void> run();

 private:
  struct Handshake {
    std::string caller;
    Candidate candidate;
    asio::cancellation_signal abort;
    bool aborted = false;
  };
  void start_handshake(Socket socket, int caller);
  awaitable<void> admit(Socket socket, Handshake& handshake);
  void abort_one();
  bool expects(const Identity& peer) const;
  void log_refusal(const std::string& reason);

  asio::any_io_executor executor_;
  Listener listener_;
  Credentials credentials_;
  std::optional<Tls> tls_;
  Identity self_;
  Log log_;
  OnAdmitted on_admitted_;
  std::map<std::string, std::uint32_t> expected_;  // generation by name
  std::list<Handshake> handshakes_;                // under way
  std::minstd_rand random_{std::random_device{}()};
  Changed changed_;
  std::chrono::steady_clock::time_point log_second_{};  // its beginning
  int logged_ = 0, unlogged_ = 0;                       // refusals in that second
};

}  // namespace lateral
