// Encoding and checking of frames.
#include "transport/frame.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <bit>
#include <cstring>

namespace lateral {

// Bodies and prefixes are copied without a change of byte order.
static_assert(std::endian::native == std::endian::little, "the wire format is little-endian");

namespace {

/// Fields that the messages of a handshake may have in total: twice as many as valid ones have.
constexpr int handshake_fields_max = 16;

// Whether these are messages of the handshake, before they are parsed: repeated and unknown fields
// take far more memory than bytes on the wire.
bool is_of_handshake(std::span<const std::uint8_t> bytes) {
  using google::protobuf::internal::WireFormatLite;
  google::protobuf::io::CodedInputStream fields{bytes.data(), static_cast<int>(bytes.size())};
  int n_fields = 0;
  while (const std::uint32_t message_tag = fields.ReadTag()) {
    const int message = WireFormatLite::GetTagFieldNumber(message_tag);
    std::uint32_t length = 0;
    if (message < wire::Header::kHelloFieldNumber || message > wire::Header::kRefusalFieldNumber ||
        WireFormatLite::GetTagWireType(message_tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED ||
        !fields.ReadVarint32(&length) || length > bytes.size())
      return false;
    const auto outer_limit = fields.PushLimit(static_cast<int>(length));
    while (const std::uint32_t tag = fields.ReadTag()) {
      if (++n_fields > handshake_fields_max ||
          WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_START_GROUP ||
          !WireFormatLite::SkipField(&fields, tag))
        return false;
    }
    fields.PopLimit(outer_limit);
  }
  return true;
}

}  // namespace

std::string encode_head(const Message& message) {
  const std::size_t header_bytes = message.header.ByteSizeLong();
  std::string head(frame_prefix_bytes + header_bytes, '\0');
  const auto header_length = static_cast<std::uint32_t>(header_bytes);
  const auto body_length = static_cast<std::uint64_t>(message.body.bytes());
  std::memcpy(head.data(), frame_magic.data(), 4);
  std::memcpy(head.data() + 4, &header_length, 4);
  std::memcpy(head.data() + 8, &body_length, 8);
  message.header.SerializeToArray(head.data() + frame_prefix_bytes, static_cast<int>(header_bytes));
  return head;
}

FramePrefix decode_prefix(std::span<const std::uint8_t, frame_prefix_bytes> bytes,
                          const FrameLimits& limits, const std::string& peer) {
  std::uint32_t header_length = 0;
  std::uint64_t body_length = 0;
  if (std::memcmp(bytes.data(), frame_magic.data(), 4) != 0)
    throw_transport(TransportError::bad_magic, peer);
  std::memcpy(&header_length, bytes.data() + 4, 4);
  std::memcpy(&body_length, bytes.data() + 8, 8);
  if (header_length > limits.header_bytes_max)
    throw_transport(TransportError::header_too_large,
                    fmt::format("{}: header of {} bytes, at most {} expected", peer, header_length,
                                limits.header_bytes_max));
  if (body_length > limits.body_bytes_max)
    throw_transport(TransportError::body_too_large,
                    fmt::format("{}: body of {} bytes, at most {} expected", peer, body_length,
                                limits.body_bytes_max));
  return {header_length, static_cast<std::size_t>(body_length)};
}

wire::Header decode_header(std::span<const std::uint8_t> bytes, std::size_t body_bytes,
                           const FrameLimits& limits, const std::string& peer) {
  if (limits.handshake_only && !is_of_handshake(bytes))
    throw_transport(TransportError::unexpected_message, peer);
  wire::Header header;
  if (!header.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    throw_transport(TransportError::malformed_header, peer);
  // Each factor is checked against the length of the body, so the product cannot overflow.
  std::size_t values = header.shape_size() == 0 ? 0 : 1;
  for (const std::uint32_t extent : header.shape()) {
    if (extent != 0 && values > body_bytes / extent)
      throw_transport(TransportError::shape_mismatch, peer);
    values *= extent;
  }
  if (values * sizeof(float) != body_bytes) throw_transport(TransportError::shape_mismatch, peer);
  return header;
}

}  // namespace lateral
