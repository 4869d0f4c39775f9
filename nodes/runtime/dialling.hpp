// Dialling a peer: the timeout of an attempt, and whether to repeat it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "transport/authenticate.hpp"

namespace lateral {

/// Time between two attempts to connect to a peer.
inline constexpr std::chrono::milliseconds redial_interval{50};
/// Limits of the timeout of an attempt, authentication included.
inline constexpr std::chrono::milliseconds dial_time_min{100}, dial_time_max{3000};
/// Time for a node to connect to the coordinator at first, in which attempts may be interrupted (as
/// under a flood of connections) or not answered in time.
inline constexpr std::chrono::seconds first_link_max{120};

/// The timeout of an attempt. After a success it is only as long as the round trips of a handshake
/// take, since TCP retransmits a lost first packet only after a second; after each timeout it grows
/// by a quarter.
class DialTimeout {
 public:
  Duration time() const { return time_; }
  /// `state`: of the connection, if it is TCP.
  void answered(const std::optional<TcpState>& state);
  void timed_out();

 private:
  Duration time_ = dial_time_max;
};

/// Whether a first attempt that ended with this code was interrupted, for reasons that are
/// independent of this node, and is to be repeated.
bool was_interrupted(const error_code& code);
/// Whether dialling the coordinator again cannot succeed: this node has been replaced, or the
/// coordinator no longer listens (and there is no earlier link, `linked`).
bool is_permanent_failure(const error_code& code, bool linked);

/// Connects to the peer and authenticates within `timeout`, which is then adapted to the result.
/// Throws system_error.
awaitable<std::unique_ptr<Link>> dial_peer(std::string address, Credentials credentials,
                                           Identity self, Identity peer, DialTimeout& timeout);

}  // namespace lateral
