// Frames: messages to bytes and back, without any input or output; safe for arbitrary bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "transport/error.hpp"
#include "transport/message.hpp"

namespace lateral {

// A frame is  magic (4 bytes) | header length (u32) | body length in bytes (u64) | header | body,
// all integers little-endian. See proto/FORMAT.md.
inline constexpr std::size_t frame_prefix_bytes = 16;
inline constexpr std::array<std::uint8_t, 4> frame_magic = {'L', 'A', 'T', '1'};

/// What a link accepts; checked before anything is allocated.
struct FrameLimits {
  std::size_t header_bytes_max;
  std::size_t body_bytes_max;
  bool handshake_only = false;  ///< only messages of the handshake
};
/// Before a peer is authenticated: a Hello with the longest names has 212 bytes. Together with what
/// parsing allocates, an unauthenticated caller causes an allocation of less than 4 KiB.
inline constexpr FrameLimits handshake_limits{256, 0, true};
/// Headers of authenticated peers: the largest holds an experiment file and the peers' addresses.
inline constexpr std::size_t header_bytes_max = std::size_t{1} << 20;

struct FramePrefix {
  std::size_t header_bytes;
  std::size_t body_bytes;
};

/// The prefix and the serialised header of a message; the body follows in its memory layout.
std::string encode_head(const Message& message);
/// Throws TransportError::bad_magic, header_too_large, body_too_large.
FramePrefix decode_prefix(std::span<const std::uint8_t, frame_prefix_bytes> bytes,
                          const FrameLimits& limits, const std::string& peer);
/// Throws TransportError::malformed_header, shape_mismatch unless prod(shape)·4 == body_bytes, or
/// unexpected_message for a message that is not of the handshake where the limits allow no other.
wire::Header decode_header(std::span<const std::uint8_t> bytes, std::size_t body_bytes,
                           const FrameLimits& limits, const std::string& peer);

}  // namespace lateral
