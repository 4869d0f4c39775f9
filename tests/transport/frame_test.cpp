// Frames are decoded as they were encoded, and malformed bytes are refused before anything is
// allocated for them.
#include "transport/frame.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <random>

#include "nodes/base/digest.hpp"
#include "tests/support/run.hpp"

namespace lateral {
namespace {

constexpr FrameLimits limits{4096, 1 << 20};

Message activity(std::uint32_t rows, std::uint32_t cols) {
  Message message;
  message.header.mutable_activity()->set_step(7);
  message.header.add_shape(rows);
  message.header.add_shape(cols);
  message.body = Block(std::size_t{rows} * cols);
  for (std::size_t i = 0; i < message.body.size(); ++i)
    message.body.data()[i] = static_cast<float>(i) - 1.5f;
  return message;
}

FramePrefix prefix_of(const std::string& bytes, const FrameLimits& l = limits) {
  std::array<std::uint8_t, frame_prefix_bytes> prefix;
  std::memcpy(prefix.data(), bytes.data(), prefix.size());
  return decode_prefix(prefix, l, "peer");
}

std::span<const std::uint8_t> header_of(const std::string& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()) + frame_prefix_bytes,
          bytes.size() - frame_prefix_bytes};
}

TEST_CASE("a message keeps header, shape and values through its frame") {
  for (const auto& [rows, cols] : {std::pair{1u, 1u}, {3u, 5u}, {256u, 1000u}}) {
    const Message message = activity(rows, cols);
    const std::string head = encode_head(message);
    const FramePrefix prefix = prefix_of(head);
    CHECK(prefix.header_bytes == head.size() - frame_prefix_bytes);
    CHECK(prefix.body_bytes == std::size_t{rows} * cols * 4);
    const wire::Header header = decode_header(header_of(head), prefix.body_bytes, limits, "peer");
    CHECK(header.SerializeAsString() == message.header.SerializeAsString());
  }
}

TEST_CASE("encode_head gives the frame that FORMAT.md shows in hexadecimal") {
  // A signal (error) for step 2, one sample of two values 1 and -2.
  Message message;
  message.header.mutable_signal()->set_step(2);
  message.header.add_shape(1);
  message.header.add_shape(2);
  message.body = Block(2);
  message.body.data()[0] = 1.0f;
  message.body.data()[1] = -2.0f;
  std::string frame = encode_head(message);
  frame.append(reinterpret_cast<const char*>(message.body.data()), message.body.bytes());
  CHECK(to_hex(frame) ==
        "4c415431"
        "09000000"
        "0800000000000000"  // magic, header length, body length
        "0a020102"
        "b201021002"  // shape (1, 2); signal { step: 2 }
        "0000803f"
        "000000c0");  // 1, -2
}

TEST_CASE("a frame with another magic is refused") {
  std::string head = encode_head(activity(1, 1));
  for (std::size_t i = 0; i < 4; ++i) {
    std::string broken = head;
    broken[i] = static_cast<char>(broken[i] ^ 1);
    CHECK(code_of([&] { prefix_of(broken); }) == TransportError::bad_magic);
  }
}

TEST_CASE("a header or a body above the limit of the link is refused") {
  const std::string head = encode_head(activity(2, 2));
  const std::size_t header_bytes = head.size() - frame_prefix_bytes;
  CHECK(code_of([&] { prefix_of(head, {header_bytes, 16}); }) == error_code{});
  CHECK(code_of([&] {
          prefix_of(head, {header_bytes - 1, 16});
        }) == TransportError::header_too_large);
  CHECK(code_of([&] { prefix_of(head, {header_bytes, 15}); }) == TransportError::body_too_large);
}

TEST_CASE(
    "a body whose length does not match its shape is refused, also where the product overflows") {
  const auto decode = [](std::vector<std::uint32_t> shape, std::size_t body_bytes) {
    wire::Header header;
    header.mutable_shape()->Assign(shape.begin(), shape.end());
    const std::string bytes = header.SerializeAsString();
    return code_of([&] {
      decode_header({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, body_bytes,
                    limits, "peer");
    });
  };
  CHECK(decode({2, 3}, 24) == error_code{});
  CHECK(decode({}, 0) == error_code{});
  CHECK(decode({0, 5}, 0) == error_code{});
  CHECK(decode({2, 3}, 20) == TransportError::shape_mismatch);
  CHECK(decode({2, 3}, 28) == TransportError::shape_mismatch);
  CHECK(decode({2, 3}, 25) == TransportError::shape_mismatch);
  CHECK(decode({}, 4) == TransportError::shape_mismatch);
  CHECK(decode({0xffffffff, 0xffffffff}, 4) == TransportError::shape_mismatch);
  CHECK(decode({0x80000000, 0x80000000, 4}, 0) ==
        TransportError::shape_mismatch);  // 2^64: 0 if it wrapped
  CHECK(decode(std::vector<std::uint32_t>(70, 2), 4) == TransportError::shape_mismatch);
}

// The memory [bytes] of a header that an unauthenticated peer may send.
std::size_t bytes_made_of(const std::string& header) {
  const std::span<const std::uint8_t> bytes{reinterpret_cast<const std::uint8_t*>(header.data()),
                                            header.size()};
  return bytes.size() +
         decode_header(bytes, 0, handshake_limits, "unauthenticated").SpaceUsedLong();
}

TEST_CASE("before the handshake is complete no header causes an allocation of more than 4 KiB") {
  const std::size_t most = handshake_limits.header_bytes_max;
  using namespace std::string_literals;
  const auto filled_with = [&](const std::string& piece, std::size_t times) {
    std::string header;
    while (header.size() + piece.size() <= most - 3 && times-- > 0) header += piece;
    return header;
  };
  const auto hello_of = [&](const std::string& fields) {  // field 2, its length in two bytes
    return std::string{'\x12', static_cast<char>(0x80 | (fields.size() & 0x7f)),
                       static_cast<char>(fields.size() >> 7)} +
           fields;
  };
  const std::string number = "\x78\x01", no_text = "\x7a\x00"s, text = "\x7a\x0dsome text her";
  for (const std::string& header :
       {hello_of("\x1a\xf0\x01" + std::string(240, 'x')), hello_of(filled_with(number, 16)),
        hello_of(filled_with(no_text, 16)), hello_of(filled_with(text, 16)),
        filled_with("\x12\x00\x1a\x00"s, most)}) {
    REQUIRE(header.size() <= most);
    CHECK(bytes_made_of(header) <= 4096);
  }
  // Fields that take much memory when parsed: refused before.
  wire::Header peers, shape, unknown;
  for (int i = 0; i < 50; ++i) peers.mutable_assignment()->add_peers();
  shape.mutable_shape()->Resize(200, 0);
  unknown.GetReflection()->MutableUnknownFields(&unknown)->AddVarint(15, 1);
  for (const std::string& header :
       {peers.SerializeAsString(), shape.SerializeAsString(), unknown.SerializeAsString(),
        hello_of(filled_with(number, 17)), hello_of(filled_with(no_text, most)),
        hello_of(std::string(100, '\x7b') + std::string(100, '\x7c'))})
    CHECK(code_of([&] { bytes_made_of(header); }) == TransportError::unexpected_message);
}

TEST_CASE("random and damaged headers are refused or read, and never crash") {
  std::mt19937 bits{1};
  const std::string head = encode_head(activity(4, 4));
  for (int trial = 0; trial < 20000; ++trial) {
    CAPTURE(trial);
    std::string bytes = head.substr(frame_prefix_bytes);
    if (trial % 2 == 0) {
      bytes.resize(bits() % 64);
      for (char& c : bytes) c = static_cast<char>(bits());
    } else {
      bytes[bits() % bytes.size()] = static_cast<char>(bits());
      bytes.resize(bits() % (bytes.size() + 1));
    }
    try {
      decode_header({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, 64, limits,
                    "peer");
    } catch (const system_error&) {
    }
  }
}

}  // namespace
}  // namespace lateral
