// Calls of the HDF5 library that checkpoints and recordings share.
#include "nodes/base/hdf5.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "nodes/base/failure.hpp"

namespace lateral::hdf5 {

std::recursive_mutex& Lock::mutex() {
  static std::recursive_mutex of_library;
  return of_library;
}

void initialize() {
  const Lock lock;
  H5dont_atexit();
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Handle access_without_locks() {
  Handle access{H5Pcreate(H5P_FILE_ACCESS), H5Pclose};
  H5Pset_file_locking(access, false, true);
  return access;
}

void check_available(const std::filesystem::path& path, Access access, bool respects_locks) {
  const int descriptor =
      ::open(path.c_str(), (access == Access::read ? O_RDONLY : O_RDWR) | O_CLOEXEC);
  if (descriptor < 0)
    throw UnavailableFile(
        fmt::format("{}: cannot be opened: {}", path.string(), std::strerror(errno)));
  const int lock = (access == Access::read ? LOCK_SH : LOCK_EX) | LOCK_NB;
  const bool is_locked = respects_locks && ::flock(descriptor, lock) != 0 && errno == EWOULDBLOCK;
  ::close(descriptor);
  if (is_locked)
    throw UnavailableFile(fmt::format("{}: cannot be opened: another program has it open{}",
                                      path.string(), access == Access::read ? " for writing" : ""));
}

namespace {

Handle open_available(const std::filesystem::path& path, Access access, const std::string& what) {
  initialize();
  Handle file{H5Fopen(path.c_str(), access == Access::read ? H5F_ACC_RDONLY : H5F_ACC_RDWR,
                      access_without_locks()),
              H5Fclose};
  if (!file.ok())
    throw UserError(fmt::format("{}: not {}, expected an HDF5 file", path.string(), what));
  return file;
}

}  // namespace

Handle open_file(const std::filesystem::path& path, Access access, const std::string& what) {
  check_available(path, access, true);
  return open_available(path, access, what);
}

Handle open_own_file(const std::filesystem::path& path, Access access, const std::string& what) {
  check_available(path, access, false);
  return open_available(path, access, what);
}

Handle create_file(const std::filesystem::path& path) {
  const Handle access = access_without_locks();
  H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
  // A new file, never the target of a link that somebody has put in its place.
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, access);
  check_written(file >= 0, path);
  return {file, H5Fclose};
}

void check_written(bool ok, const std::filesystem::path& path) {
  if (!ok) throw UserError(fmt::format("{}: cannot be written (is the disk full?)", path.string()));
}

namespace {

herr_t refuse_external_link(const char*, const char*, const char*, const char*, unsigned*, hid_t,
                            void*) {
  return -1;
}

}  // namespace

void follow_no_external_link(hid_t access) {
  H5Pset_elink_cb(access, refuse_external_link, nullptr);
}

Handle open_data_set(hid_t file, const std::string& name) {
  const Handle access{H5Pcreate(H5P_DATASET_ACCESS), H5Pclose};
  follow_no_external_link(access);
  return {H5Dopen2(file, name.c_str(), access), H5Dclose};
}

Handle simple_space(std::span<const hsize_t> extents) {
  constexpr hsize_t one = 1;
  if (extents.empty()) extents = {&one, 1};
  return {H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose};
}

std::vector<hsize_t> extents_of(hid_t data_set) {
  const Handle space{H5Dget_space(data_set), H5Sclose};
  const int rank = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> extents(static_cast<std::size_t>(std::max(rank, 0)));
  if (rank > 0) H5Sget_simple_extent_dims(space, extents.data(), nullptr);
  return extents;
}

void write_text(hid_t object, const char* name, const std::string& text,
                const std::filesystem::path& path) {
  const Handle type{H5Tcopy(H5T_C_S1), H5Tclose};
  H5Tset_size(type, text.empty() ? 1 : text.size());
  H5Tset_cset(type, H5T_CSET_UTF8);
  const Handle space{H5Screate(H5S_SCALAR), H5Sclose};
  const Handle attribute{H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose};
  check_written(attribute.ok() && H5Awrite(attribute, type, text.c_str()) >= 0, path);
}

bool read_text(hid_t object, const char* name, std::string& text) {
  constexpr std::size_t text_bytes_max = std::size_t{1} << 20;
  if (H5Aexists(object, name) <= 0) return false;
  const Handle attribute{H5Aopen(object, name, H5P_DEFAULT), H5Aclose};
  const Handle type{H5Aget_type(attribute), H5Tclose};
  const Handle space{H5Aget_space(attribute), H5Sclose};
  const std::size_t size = H5Tget_size(type);
  if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) > 0 || size > text_bytes_max ||
      H5Sget_simple_extent_npoints(space) != 1)
    return false;
  text.assign(size, '\0');
  return H5Aread(attribute, type, text.data()) >= 0;
}

}  // namespace lateral::hdf5
