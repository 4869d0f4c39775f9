// Reads whole files within a size limit, and says what is wrong with one in a single line.
#include "nodes/data/files.hpp"

#define ZLIB_CONST
#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <system_error>

#include "nodes/data/dataset.hpp"

namespace lateral {
namespace {

constexpr std::size_t gunzip_chunk_bytes = std::size_t{1} << 16;

/// Ends the stream on every way out, exceptions too.
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
  std::size_t consumed() const { return fed_ - stream_.avail_in; }
  const char* message() const { return stream_.msg != nullptr ? stream_.msg : "no valid data"; }

  /// Unpacks into `out` and returns zlib's code; `written` says how much of `out` was filled.
  int step(std::span<std::uint8_t> out, std::size_t& written) {
    if (stream_.avail_in == 0) {
      // avail_in is 32 bits wide, a file need not be.
      const std::size_t n =
          std::min<std::size_t>(packed_.size() - fed_, std::numeric_limits<uInt>::max());
      stream_.next_in = packed_.data() + fed_;
      stream_.avail_in = static_cast<uInt>(n);
      fed_ += n;
    }
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<uInt>(out.size());
    const int code = inflate(&stream_, Z_NO_FLUSH);
    written = out.size() - stream_.avail_out;
    return code;
  }

 private:
  std::span<const std::uint8_t> packed_;
  std::size_t fed_ = 0;
  bool ready_ = false;
  z_stream stream_{};
};

}  // namespace

void refuse_data(std::string_view file, std::size_t offset, std::string_view found,
                 std::string_view expected) {
  std::string line(file);
  line += ": at byte " + std::to_string(offset) + ": found ";
  line += found;
  line += ", expected ";
  line += expected;
  throw DataError(line);
}

void refuse_missing(const std::filesystem::path& file, std::string_view expected) {
  std::string line = file.string() + ": not found, expected ";
  line += expected;
  line += "; name the folder that holds it with --data DIR or LATERAL_DATA";
  throw DataError(line);
}

std::filesystem::path data_path(const std::filesystem::path& root, std::string_view inside) {
  if (root.empty()) {
    std::string line = "no data folder given, expected one that holds ";
    line += inside;
    line += "; name it with --data DIR or LATERAL_DATA";
    throw DataError(line);
  }
  return root / inside;
}

std::vector<std::uint8_t> read_bytes(const std::filesystem::path& file, std::size_t bytes_max,
                                     std::string_view expected) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(file, error);
  if (!std::filesystem::exists(status)) refuse_missing(file, expected);
  if (!std::filesystem::is_regular_file(status))
    throw DataError(file.string() + ": is not a regular file, expected " + std::string(expected));
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  if (error)
    throw DataError(file.string() + ": cannot be read (" + error.message() + "), expected " +
                    std::string(expected));
  if (size > bytes_max)
    refuse_data(file.string(), bytes_max, "a file of " + std::to_string(size) + " bytes",
                "at most " + std::to_string(bytes_max) + " bytes");

  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  std::ifstream in(file, std::ios::binary);
  if (!in.is_open())
    throw DataError(file.string() + ": cannot be opened, expected " + std::string(expected));
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  const auto got = static_cast<std::size_t>(in.gcount());
  if (got != bytes.size())
    refuse_data(file.string(), got, "the end of what can be read",
                std::to_string(bytes.size()) + " bytes");
  return bytes;
}

std::vector<std::uint8_t> gunzip(std::span<const std::uint8_t> packed, std::string_view file,
                                 std::size_t bytes_max) {
  Inflater inflater(packed);
  if (!inflater.ready()) throw DataError(std::string(file) + ": zlib did not start");

  std::vector<std::uint8_t> unpacked;
  std::vector<std::uint8_t> chunk(gunzip_chunk_bytes);
  while (true) {
    std::size_t written = 0;
    const int code = inflater.step(chunk, written);
    if (written > bytes_max - unpacked.size())
      refuse_data(file, inflater.consumed(),
                  "gzip data that unpack to more than " + std::to_string(bytes_max) + " bytes",
                  "at most " + std::to_string(bytes_max) + " bytes");
    unpacked.insert(unpacked.end(), chunk.begin(),
                    chunk.begin() + static_cast<std::ptrdiff_t>(written));
    if (code == Z_STREAM_END) break;
    // Z_BUF_ERROR: nothing left to feed although the stream has not ended.
    if (code == Z_BUF_ERROR)
      refuse_data(file, inflater.consumed(), "the end of the file",
                  "the rest of the gzip data (the file is truncated)");
    if (code != Z_OK)
      refuse_data(file, inflater.consumed(),
                  std::string("corrupt gzip data (") + inflater.message() + ")", "valid gzip data");
  }
  if (inflater.consumed() != packed.size())
    refuse_data(file, inflater.consumed(),
                std::to_string(packed.size() - inflater.consumed()) + " more bytes",
                "the end of the file after the gzip data");
  return unpacked;
}

}  // namespace lateral
