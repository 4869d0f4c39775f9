// Reading data files, and unpacking gzip with zlib.
#include "nodes/data/files.hpp"

#define ZLIB_CONST
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <system_error>

#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"

namespace lateral {
namespace {

constexpr std::size_t gunzip_chunk_bytes = std::size_t{1} << 16;

/// A zlib stream that is closed with the object.
class Inflater {
 public:
  explicit Inflater(std::span<const std::uint8_t> packed) : packed_(packed) {
    constexpr int gzip_only = 15 + 16;  // the largest window, gzip header required
    ready_ = inflateInit2(&stream_, gzip_only) == Z_OK;
  }
  ~Inflater() {
    if (ready_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  bool ready() const { return ready_; }
  /// After the end of a member: whether another one follows, which is then unpacked next.
  bool next_member() {
    const std::size_t at = consumed();
    const bool follows = packed_.size() - at >= 2 && packed_[at] == 0x1f && packed_[at + 1] == 0x8b;
    return follows && inflateReset(&stream_) == Z_OK;
  }
  std::size_t consumed() const { return given_ - stream_.avail_in; }
  const char* message() const { return stream_.msg != nullptr ? stream_.msg : "no valid data"; }

  /// Unpacks into `out` and returns zlib's code; `written`: how many bytes of `out` were filled.
  int unpack(std::span<std::uint8_t> out, std::size_t& written) {
    if (stream_.avail_in == 0) {
      // avail_in is 32 bits wide, a file need not be.
      const std::size_t n =
          std::min<std::size_t>(packed_.size() - given_, std::numeric_limits<uInt>::max());
      stream_.next_in = packed_.data() + given_;
      stream_.avail_in = static_cast<uInt>(n);
      given_ += n;
    }
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<uInt>(out.size());
    const int code = inflate(&stream_, Z_NO_FLUSH);
    written = out.size() - stream_.avail_out;
    return code;
  }

 private:
  std::span<const std::uint8_t> packed_;
  std::size_t given_ = 0;
  bool ready_ = false;
  z_stream stream_{};
};

}  // namespace

void refuse_data(std::string_view file, std::size_t offset, std::string_view found,
                 std::string_view expected) {
  throw UserError(
      fmt::format("{}: at byte {}: found {}, expected {}", file, offset, found, expected));
}

std::filesystem::path data_path(const std::filesystem::path& root, std::string_view inside) {
  if (root.empty())
    throw UserError(
        fmt::format("no data folder given, expected one that contains {}; name it with "
                    "--data DIR or LATERAL_DATA",
                    inside));
  return root / inside;
}

std::vector<std::uint8_t> read_data_file(const std::filesystem::path& file, std::size_t bytes_max,
                                         std::string_view expected) {
  std::error_code failure;
  if (!std::filesystem::exists(file, failure))
    throw UserError(
        fmt::format("{}: not found, expected {}; name the folder that contains it with "
                    "--data DIR or LATERAL_DATA",
                    file.string(), expected));
  return read_bytes(file, bytes_max, expected);
}

std::vector<std::uint8_t> gunzip(std::span<const std::uint8_t> packed, std::string_view file,
                                 std::size_t bytes_max) {
  Inflater inflater(packed);
  if (!inflater.ready()) throw UserError(fmt::format("{}: zlib did not start", file));

  std::vector<std::uint8_t> unpacked;
  std::vector<std::uint8_t> chunk(gunzip_chunk_bytes);
  while (true) {
    std::size_t written = 0;
    const int code = inflater.unpack(chunk, written);
    if (written > bytes_max - unpacked.size())
      refuse_data(file, inflater.consumed(),
                  fmt::format("gzip data that unpack to more than {} bytes", bytes_max),
                  fmt::format("at most {} bytes", bytes_max));
    unpacked.insert(unpacked.end(), chunk.begin(),
                    chunk.begin() + static_cast<std::ptrdiff_t>(written));
    if (code == Z_STREAM_END) {
      if (inflater.next_member()) continue;
      break;
    }
    // Z_BUF_ERROR: all bytes have been given to zlib, but the stream has not ended.
    if (code == Z_BUF_ERROR)
      refuse_data(file, inflater.consumed(), "the end of the file",
                  "the end of the gzip data (the file is truncated)");
    if (code != Z_OK)
      refuse_data(file, inflater.consumed(),
                  fmt::format("corrupt gzip data ({})", inflater.message()), "valid gzip data");
  }
  if (inflater.consumed() != packed.size())
    refuse_data(file, inflater.consumed(),
                fmt::format("{} more bytes", packed.size() - inflater.consumed()),
                "the end of the file after the gzip data");
  return unpacked;
}

}  // namespace lateral
