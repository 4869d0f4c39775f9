// NPZ: one member of a ZIP archive, unpacked by libzip, read as NPY.
#include "nodes/data/reader/npz.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>
#include <zip.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/data/reader/input_file.hpp"
#include "nodes/data/reader/npy.hpp"

namespace lateral {
namespace {

/// Deflated data unpack to at most 1032 times their size.
constexpr std::size_t deflate_ratio_max = 1032;
constexpr std::size_t names_shown_max = 10;
constexpr std::string_view suffix = ".npy";

struct CloseArchive {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct CloseMember {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};
using Archive = std::unique_ptr<zip_t, CloseArchive>;
using Member = std::unique_ptr<zip_file_t, CloseMember>;

class MemorySource final : public ByteSource {
 public:
  MemorySource(std::unique_ptr<std::uint8_t[]> bytes, std::size_t size)
      : bytes_{std::move(bytes)}, size_{size} {}
  void read(std::size_t offset, std::span<std::uint8_t> out) const override {
    LATERAL_CHECK(offset <= size_ && out.size() <= size_ - offset);
    std::copy_n(bytes_.get() + offset, out.size(), out.data());
  }
  bool is_in_memory() const override { return true; }

 private:
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t size_;
};

[[noreturn]] void refuse(const std::string& origin, const std::string& reason) {
  throw UserError(one_line(fmt::format("{}: {}", origin, reason)));
}

Archive open_archive(const InputFile& file) {
  // zip_fdopen() closes the descriptor that it is given.
  const int descriptor = ::fcntl(file.descriptor(), F_DUPFD_CLOEXEC, 0);
  if (descriptor < 0) refuse(file.name(), std::strerror(errno));
  int code = 0;
  Archive archive{zip_fdopen(descriptor, ZIP_CHECKCONS, &code)};
  if (archive == nullptr) {
    ::close(descriptor);
    if (code == ZIP_ER_EXISTS) refuse(file.name(), "contains a name twice, expected each once");
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    refuse(file.name(), fmt::format("not a complete ZIP archive ({}), expected an NPZ file as "
                                    "NumPy's savez() writes it",
                                    reason));
  }
  return archive;
}

/// The names of all arrays, without ".npy". libzip has refused an archive with a name twice.
std::set<std::string> names_of(zip_t* archive, const std::string& file) {
  const zip_int64_t members = zip_get_num_entries(archive, 0);
  if (members < 0 || static_cast<std::size_t>(members) > npz_members_max)
    refuse(file, fmt::format("{} members, expected at most {}", members, npz_members_max));
  std::set<std::string> names;
  for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(members); ++i) {
    const char* raw = zip_get_name(archive, i, ZIP_FL_ENC_RAW);
    std::string name = raw == nullptr ? "" : raw;
    if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
    names.insert(std::move(name));
  }
  return names;
}

/// Number of the member; fails with the names that there are.
zip_uint64_t find_member(zip_t* archive, const std::string& file, const std::string& name) {
  const std::set<std::string> names = names_of(archive, file);
  const zip_int64_t at =
      zip_name_locate(archive, (name + std::string(suffix)).c_str(), ZIP_FL_ENC_RAW);
  if (at >= 0) return static_cast<zip_uint64_t>(at);
  std::vector<std::string> shown(
      names.begin(), std::next(names.begin(), static_cast<std::ptrdiff_t>(
                                                  std::min(names.size(), names_shown_max))));
  refuse(file,
         fmt::format(
             "has no array '{}', expected one of: {}{}", name, fmt::join(shown, ", "),
             names.size() > names_shown_max ? fmt::format(" … ({} in all)", names.size()) : ""));
}

/// Size of the unpacked member.
std::size_t check_member(zip_t* archive, zip_uint64_t index, const std::string& origin) {
  constexpr zip_uint64_t needed =
      ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  zip_stat_t about;
  zip_stat_init(&about);
  if (zip_stat_index(archive, index, 0, &about) != 0 || (about.valid & needed) != needed)
    refuse(origin, "its entry in the archive cannot be read");
  if (about.encryption_method != ZIP_EM_NONE)
    refuse(origin, "is encrypted, expected an array without a password");
  if (about.comp_method != ZIP_CM_STORE && about.comp_method != ZIP_CM_DEFLATE)
    refuse(origin, fmt::format("is compressed by ZIP method {}, expected stored or deflated",
                               about.comp_method));
  if (about.size > npz_array_bytes_max)
    refuse(origin, fmt::format("{} bytes, expected at most {}: larger arrays are read by pieces "
                               "from NPY or HDF5",
                               about.size, npz_array_bytes_max));
  const bool stored = about.comp_method == ZIP_CM_STORE;
  const std::size_t most = stored ? about.comp_size : (about.comp_size + 1) * deflate_ratio_max;
  if (about.size > most || (stored && about.size != about.comp_size))
    refuse(origin, fmt::format("declares {} bytes unpacked from {}, which is not possible",
                               about.size, about.comp_size));
  return about.size;
}

/// Fills `out`, or fails.
void unpack(zip_file_t* member, std::span<std::uint8_t> out, const std::string& origin) {
  while (!out.empty()) {
    const zip_int64_t n = zip_fread(member, out.data(), out.size());
    if (n < 0) refuse(origin, fmt::format("cannot be unpacked: {}", zip_file_strerror(member)));
    if (n == 0)
      refuse(origin, fmt::format("ends {} bytes before its declared size (truncated)", out.size()));
    out = out.subspan(static_cast<std::size_t>(n));
  }
}

/// The checksum is compared when the end is read.
void check_end(zip_file_t* member, const std::string& origin) {
  std::uint8_t more = 0;
  const zip_int64_t n = zip_fread(member, &more, 1);
  if (n < 0) refuse(origin, fmt::format("cannot be unpacked: {}", zip_file_strerror(member)));
  if (n > 0) refuse(origin, "unpacks to more than its declared size");
}

}  // namespace

std::unique_ptr<SampleArray> open_npz(const std::filesystem::path& file, const std::string& name) {
  const InputFile input{file, "an NPZ file"};
  const Archive archive = open_archive(input);
  const std::string origin = one_line(fmt::format("{}: {}", file.string(), name));
  const zip_uint64_t index = find_member(archive.get(), input.name(), name);
  const std::size_t size = check_member(archive.get(), index, origin);
  const Member member{zip_fopen_index(archive.get(), index, 0)};
  if (member == nullptr)
    refuse(origin, fmt::format("cannot be unpacked: {}", zip_strerror(archive.get())));

  std::vector<std::uint8_t> start(std::min(size, npy_header_bytes_max));
  unpack(member.get(), start, origin);
  NpyHeader header = parse_npy_header(start, size, origin);
  // Not initialised: memory is used as the data arrive.
  std::unique_ptr<std::uint8_t[]> bytes{new (std::nothrow) std::uint8_t[size]};
  if (bytes == nullptr)
    refuse(origin,
           fmt::format("{} bytes do not fit in memory; NPY and HDF5 are read by pieces", size));
  std::copy(start.begin(), start.end(), bytes.get());
  unpack(member.get(), {bytes.get() + start.size(), size - start.size()}, origin);
  check_end(member.get(), origin);
  return npy_array(std::make_unique<MemorySource>(std::move(bytes), size), std::move(header),
                   origin);
}

}  // namespace lateral
