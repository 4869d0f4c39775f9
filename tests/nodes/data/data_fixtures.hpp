// Small data files in a folder of their own, for the tests of the data formats.
#pragma once

#include <doctest/doctest.h>
#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nodes/data/dataset.hpp"
#include "tests/support/temporary_folder.hpp"

namespace lateral::data_format {
std::unique_ptr<DataFormat> mnist();
std::unique_ptr<DataFormat> cifar10();
std::unique_ptr<DataFormat> cifar100();
std::unique_ptr<DataFormat> generated();
}  // namespace lateral::data_format

namespace lateral::testing {

using Bytes = std::vector<std::uint8_t>;
using Labels = std::vector<std::uint32_t>;

/// The settings of a format whose files are in this folder.
inline DataParams data_in(const std::filesystem::path& root) {
  DataParams params;
  params.root = root;
  return params;
}

/// A folder for files of data.
class DataFolder : public TemporaryFolder {
 public:
  std::filesystem::path write(const std::string& name, const Bytes& bytes) const {
    const std::filesystem::path file = path() / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream out(file, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    REQUIRE(out.good());
    return file;
  }
};

inline void append_big_endian(Bytes& bytes, std::uint32_t value) {
  for (const unsigned shift : {24U, 16U, 8U, 0U})
    bytes.push_back(static_cast<std::uint8_t>(value >> shift));
}

inline Bytes idx_bytes(const std::vector<std::uint32_t>& dimensions, const Bytes& values) {
  Bytes bytes{0, 0, 8, static_cast<std::uint8_t>(dimensions.size())};
  for (const std::uint32_t dimension : dimensions) append_big_endian(bytes, dimension);
  bytes.insert(bytes.end(), values.begin(), values.end());
  return bytes;
}

inline Bytes gzip(Bytes bytes) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes packed(deflateBound(&stream, bytes.size()) + 64);
  stream.next_in = bytes.data();
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = packed.data();
  stream.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

inline bool is_one_line(const std::string& text) {
  return !text.empty() && text.find('\n') == std::string::npos;
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The folder of the real data, if there is one.
inline std::optional<std::filesystem::path> real_data() {
  const char* folder = std::getenv("LATERAL_DATA");
  if (folder == nullptr || *folder == '\0') return std::nullopt;
  return folder;
}

}  // namespace lateral::testing
