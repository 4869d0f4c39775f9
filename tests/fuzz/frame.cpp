// Fuzz target: frames of an authenticated peer, as a link decodes them.
#include "transport/frame.hpp"

#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {
namespace {

constexpr FrameLimits limits{header_bytes_max, std::size_t{1} << 16};

std::string frame(const Message& message) {
  return encode_head(message) + std::string(message.body.bytes(), '\1');
}

}  // namespace

std::vector<std::string> seeds() {
  Message activity, target, assignment;
  activity.header.mutable_activity()->set_step(3);
  activity.header.add_shape(2);
  activity.header.add_shape(3);
  activity.body = Block(6);
  target.header.mutable_target()->add_labels(300);
  assignment.header.mutable_assignment()->set_experiment("name: 'x'");
  assignment.header.mutable_assignment()->add_peers()->set_address("unix:/tmp/x");
  Message hello;
  hello.header.mutable_hello()->set_from("hidden1");
  hello.header.mutable_hello()->set_nonce(std::string(32, 'n'));
  return {frame(hello), frame(activity), frame(target) + frame(activity), frame(assignment)};
}

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  std::span<const std::uint8_t> rest{data, size};
  fuzz::accepts([&] {  // with the limits before authentication
    const auto header = rest.subspan(std::min(size, frame_prefix_bytes));
    if (header.size() > handshake_limits.header_bytes_max) return;
    const wire::Header made = decode_header(header, 0, handshake_limits, "unauthenticated");
    fuzz::check_property(header.size() + made.SpaceUsedLong() <= 4096,
                         "an unauthenticated peer causes at most 4 KiB of allocations");
  });
  fuzz::accepts([&] {
    while (rest.size() >= frame_prefix_bytes) {
      const FramePrefix prefix =
          decode_prefix(rest.first<frame_prefix_bytes>(), fuzz::limits, "peer");
      fuzz::check_property(prefix.header_bytes <= fuzz::limits.header_bytes_max &&
                               prefix.body_bytes <= fuzz::limits.body_bytes_max,
                           "no frame is larger than the limits");
      rest = rest.subspan(frame_prefix_bytes);
      if (rest.size() < prefix.header_bytes) return;
      Message message;
      message.header =
          decode_header(rest.first(prefix.header_bytes), prefix.body_bytes, fuzz::limits, "peer");
      std::size_t values = message.header.shape_size() == 0 ? 0 : 1;
      for (const std::uint32_t extent : message.header.shape()) values *= extent;
      message.body = Block(values);
      fuzz::check_property(message.body.bytes() == prefix.body_bytes,
                           "the length of a body matches its shape");

      // A header has several encodings; encode_head() returns one of them.
      const std::string head = encode_head(message);
      const std::span<const std::uint8_t> again{reinterpret_cast<const std::uint8_t*>(head.data()),
                                                head.size()};
      decode_prefix(again.first<frame_prefix_bytes>(), fuzz::limits, "us");
      message.header = decode_header(again.subspan(frame_prefix_bytes), message.body.bytes(),
                                     fuzz::limits, "us");
      fuzz::check_property(encode_head(message) == head,
                           "a decoded message is encoded to the same bytes");

      rest = rest.subspan(prefix.header_bytes);
      rest = rest.subspan(std::min(rest.size(), prefix.body_bytes));
    }
  });
  return 0;
}
