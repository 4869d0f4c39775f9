// Dialling a peer: how long to wait for an answer, when to try again, and when not.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "transport/authenticate.hpp"

namespace lateral {

/// Between one attempt to reach a peer and the next.
inline constexpr std::chrono::milliseconds redial_interval{50};
/// Limits of the time to reach a peer and to be admitted.
inline constexpr std::chrono::milliseconds dial_time_min{100}, dial_time_max{3000};
/// First attempts to reach the coordinator that may be cut off (by somebody who floods it with
/// connections) before the node gives up.
inline constexpr int first_attempts_max = 20;

/// How long to wait for an answer. Once there has been one, only as long as the round trips of a
/// handshake take, since TCP needs a second to notice that a network has lost it; a quarter longer
/// after each time that this was not enough.
class DialTimeout {
 public:
  Duration time() const { return time_; }
  /// `state`: of the connection over which the answer came, where it is TCP.
  void answered(const std::optional<TcpState>& state);
  void timed_out();

 private:
  Duration time_ = dial_time_max;
};

/// Whether a first attempt that ended like this is to be repeated: it was cut off, which says
/// nothing about us.
bool was_cut_off(const error_code& code);
/// Whether there is no point in dialling the coordinator again: another node has taken this one's
/// place, or nobody listens any more (and there is no link from before, `linked`).
bool is_hopeless(const error_code& code, bool linked);

/// Connects to the peer and authenticates within `timeout`, which learns from how long it took.
/// Throws system_error.
awaitable<std::unique_ptr<Link>> dial_peer(std::string address, Credentials credentials,
                                           Identity self, Identity peer, DialTimeout& timeout);

}  // namespace lateral
