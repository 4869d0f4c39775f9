// The list of accepted layouts and filters, and the checks of sizes.
#include "nodes/base/hdf5_storage.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "nodes/base/failure.hpp"
#include "nodes/base/hdf5.hpp"

namespace lateral::hdf5 {
namespace {

/// Deflated data unpack to at most 1032 times their size.
constexpr std::size_t deflate_ratio_max = 1032;
/// Bytes that a filter adds to a chunk: a checksum.
constexpr std::size_t checksum_bytes = 4;

[[noreturn]] void refuse(const std::string& origin, const std::string& reason) {
  throw UserError(one_line(fmt::format("{}: {}", origin, reason)));
}

/// a b, or the largest number if that is larger.
std::size_t product(std::size_t a, std::size_t b) {
  return b != 0 && a > std::numeric_limits<std::size_t>::max() / b
             ? std::numeric_limits<std::size_t>::max()
             : a * b;
}

std::vector<H5Z_filter_t> checked_filters(hid_t properties, const std::string& origin) {
  std::vector<H5Z_filter_t> filters;
  for (int i = 0; i < H5Pget_nfilters(properties); ++i) {
    char name[64] = "";
    unsigned flags = 0, options = 0;
    std::size_t n_options = 0;
    const H5Z_filter_t filter = H5Pget_filter2(properties, static_cast<unsigned>(i), &flags,
                                               &n_options, nullptr, sizeof name, name, &options);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE &&
        filter != H5Z_FILTER_FLETCHER32)
      refuse(origin, fmt::format("is packed by the filter {} ({}), expected gzip, shuffle or "
                                 "fletcher32",
                                 filter, name[0] == '\0' ? "without a name" : name));
    filters.push_back(filter);
  }
  return filters;
}

/// Whether these bytes unpack to `bytes` bytes at most; in pieces, nothing of it is kept.
bool inflates_within(const std::vector<std::uint8_t>& packed, std::size_t bytes) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return false;
  stream.next_in = const_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  std::vector<std::uint8_t> piece(std::size_t{1} << 16);
  int result = Z_OK;
  while (result == Z_OK && stream.total_out <= bytes) {
    stream.next_out = piece.data();
    stream.avail_out = static_cast<uInt>(piece.size());
    result = inflate(&stream, Z_NO_FLUSH);
  }
  const bool within = result == Z_STREAM_END && stream.total_out <= bytes;
  inflateEnd(&stream);
  return within;
}

void try_unpacking(hid_t data_set, const std::vector<H5Z_filter_t>& filters, hsize_t chunks,
                   std::size_t chunk_bytes, std::size_t rank, const std::string& origin) {
  const Handle space{H5Dget_space(data_set), H5Sclose};
  std::vector<hsize_t> position(rank);
  std::vector<std::uint8_t> packed;
  const std::size_t checksums = checksum_bytes * filters.size();
  for (hsize_t i = 0; i < chunks; ++i) {
    unsigned skipped = 0;
    hsize_t stored = 0;
    if (H5Dget_chunk_info(data_set, space, i, position.data(), &skipped, nullptr, &stored) < 0)
      refuse(origin, "its chunks cannot be found, expected an undamaged file");
    // Data that do not become smaller are stored with a few bytes for each 16 kB.
    if (stored > chunk_bytes + chunk_bytes / 1024 + 64 + checksums)
      refuse(origin, fmt::format("a chunk of {} bytes is stored in {}, expected at most as many",
                                 chunk_bytes, stored));
    packed.resize(stored);
    if (H5Dread_chunk(data_set, H5P_DEFAULT, position.data(), &skipped, packed.data()) < 0)
      refuse(origin, "a chunk cannot be read, expected an undamaged file");
    // Filters are undone from the last to the first.
    for (std::size_t f = filters.size(); f-- > 0;) {
      if ((skipped & (1U << f)) != 0) continue;
      if (filters[f] == H5Z_FILTER_FLETCHER32 && packed.size() >= checksum_bytes)
        packed.resize(packed.size() - checksum_bytes);
      if (filters[f] != H5Z_FILTER_DEFLATE) continue;
      if (!inflates_within(packed, chunk_bytes + checksums))
        refuse(origin,
               fmt::format("a chunk does not unpack to {} bytes, expected an undamaged file",
                           chunk_bytes));
      break;  // what is left of it has the size of a chunk
    }
  }
}

void check_chunks(hid_t data_set, hid_t properties, const std::vector<hsize_t>& shape,
                  std::size_t value_bytes, std::size_t bytes_max,
                  const std::vector<H5Z_filter_t>& filters, const std::string& origin,
                  const StorageLimits& limits) {
  std::vector<hsize_t> chunk(shape.size());
  if (H5Pget_chunk(properties, static_cast<int>(chunk.size()), chunk.data()) !=
      static_cast<int>(chunk.size()))
    refuse(origin, "its chunks cannot be read");
  const std::size_t most = std::min(limits.chunk_bytes_max, bytes_max);
  std::size_t bytes = value_bytes, chunks = 1;
  for (std::size_t d = 0; d < chunk.size(); ++d) {
    if (chunk[d] == 0 || chunk[d] > most / bytes)
      refuse(origin, fmt::format("chunks of {} values, expected at most {} bytes",
                                 fmt::join(chunk, " x "), most));
    bytes *= chunk[d];
    chunks *= (shape[d] + chunk[d] - 1) / chunk[d];
  }
  hsize_t written = 0;
  const Handle space{H5Dget_space(data_set), H5Sclose};
  if (H5Dget_num_chunks(data_set, space, &written) < 0 || written != chunks)
    refuse(origin, fmt::format("{} of {} chunks were written, expected all", written, chunks));
  const bool is_packed = std::count(filters.begin(), filters.end(), H5Z_FILTER_DEFLATE) > 0;
  if (limits.tries_unpacking && is_packed)
    try_unpacking(data_set, filters, chunks, bytes, shape.size(), origin);
}

}  // namespace

void check_storage(hid_t data_set, const std::string& origin, const StorageLimits& limits) {
  const Handle properties{H5Dget_create_plist(data_set), H5Pclose};
  const H5D_layout_t layout = H5Pget_layout(properties);
  if (layout == H5D_VIRTUAL)
    refuse(origin, "is a virtual data set of other files, expected its values in this file");
  if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED)
    refuse(origin, "has an unknown layout, expected contiguous or chunked values");
  if (H5Pget_external_count(properties) != 0)
    refuse(origin, "has its values in another file, expected them in this file");
  const std::vector<H5Z_filter_t> filters = checked_filters(properties, origin);
  const bool deflated = std::count(filters.begin(), filters.end(), H5Z_FILTER_DEFLATE) > 0;

  const std::vector<hsize_t> shape = extents_of(data_set);
  const Handle type{H5Dget_type(data_set), H5Tclose};
  const std::size_t value_bytes = H5Tget_size(type);
  std::size_t bytes = value_bytes;
  for (const hsize_t extent : shape) bytes = product(bytes, extent);
  const std::size_t bytes_max =
      deflated ? product(limits.file_bytes, deflate_ratio_max) : limits.file_bytes;
  if (bytes > bytes_max)
    refuse(origin, fmt::format("declares {} bytes (shape {}) in a file of {} bytes (were all "
                               "values written?)",
                               bytes, fmt::join(shape, " x "), limits.file_bytes));
  if (bytes == 0) return;
  if (layout == H5D_CHUNKED)
    check_chunks(data_set, properties, shape, value_bytes, bytes_max, filters, origin, limits);
  else if (H5Dget_storage_size(data_set) < bytes)
    refuse(origin, "its values were never written, expected all");
}

}  // namespace lateral::hdf5
