// Edge: one node's end of all that passes between it and a peer, over one link after another.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "transport/stream.hpp"

namespace lateral {

/// Where what has come is acknowledged: at least after so many messages, or so many bytes.
inline constexpr std::uint64_t unacknowledged_max = 64;
inline constexpr std::size_t unacknowledged_bytes_max = std::size_t{1} << 20;

/// A stream and the words about it, without any input or output. On every link both sides say first
/// how far they are (Resume), and go on from there.
class Edge {
 public:
  /// `acknowledges`: tells the peer what has come, so that it need not be kept.
  explicit Edge(Stream stream = Stream(), bool acknowledges = false)
      : stream_{std::move(stream)}, acknowledges_{acknowledges} {}

  /// There is a new link. What was on its way over an older one is lost.
  void linked();
  /// The link is gone.
  void unlinked() { resumed_ = false; }
  /// Both sides know how far the other is.
  bool resumed() const { return resumed_; }

  /// To be sent once all before it has been.
  void push(Message message) { stream_.push(std::move(message)); }
  /// To be sent once, on the link that there is, ahead of what waits; not numbered, and not kept:
  /// the newest takes the place of one that still waits.
  void push_aside(Message message);
  /// What the link is to be given next, if there is anything.
  std::optional<Message> next();
  /// Messages pushed that no link has been given yet.
  std::size_t waiting() const { return stream_.waiting(); }
  bool says_again() const { return stream_.says_again(); }
  /// Remembers by this name how much has been pushed so far.
  void mark(const std::string& name) { marks_[name] = stream_.sent(); }
  /// What was pushed before that mark need not be kept.
  void forget_before(const std::string& name);

  /// Whether this message, from the link, is one to make room for.
  bool is_due(const Message& message) const {
    return message.header.sequence() == stream_.received() + 1;
  }
  /// A message from the link: given back if it is the peer's next one, dropped if it has come
  /// before, obeyed if it is about the link. Throws TransportError::unexpected_message, or
  /// out_of_sequence if one is missing before it or if the peer lacks one that is not kept.
  std::optional<Message> take(Message message);
  const wire::Heartbeat& heartbeat() const { return heartbeat_; }

 private:
  Stream stream_;
  bool acknowledges_;
  std::optional<Message> aside_;
  bool resume_due_ = false;  // to be said
  bool resumed_ = false;
  bool acknowledge_due_ = false;
  std::uint64_t acknowledged_ = 0;
  std::size_t unacknowledged_bytes_ = 0;
  wire::Heartbeat heartbeat_;
  std::map<std::string, std::uint64_t> marks_;
};

}  // namespace lateral
