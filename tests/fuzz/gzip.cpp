// Fuzz target: compressed data files.
#include <zlib.h>

#include "nodes/data/files.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {
namespace {

constexpr std::size_t unpacked_bytes_max = std::size_t{1} << 17;

std::string packed(const std::string& bytes) {
  constexpr int gzip = 15 + 16;
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, gzip, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  std::string in = bytes;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace

std::vector<std::string> seeds() {
  return {packed(""), packed("some text, some more text"),
          packed(std::string(2 * unpacked_bytes_max, 'x'))};
}

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  fuzz::accepts([&] {
    const auto bytes = gunzip({data, size}, "a", fuzz::unpacked_bytes_max);
    fuzz::check_property(bytes.size() <= fuzz::unpacked_bytes_max,
                         "the unpacked size is within the limit");
  });
  return 0;
}
