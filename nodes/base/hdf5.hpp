// Helpers for HDF5 files: identifiers that are closed automatically, attributes and data sets.
#pragma once

#include <hdf5.h>

#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "nodes/base/failure.hpp"

namespace lateral::hdf5 {

/// Held by whoever calls the library, which must not be used by two threads at a time: with all
/// nodes in one process, a source reads its data while the coordinator writes a checkpoint. One
/// thread may hold several.
class Lock {
 public:
  Lock() : held_{mutex()} {}

 private:
  static std::recursive_mutex& mutex();
  std::lock_guard<std::recursive_mutex> held_;
};

/// An HDF5 identifier that is closed with the object.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close_id)(hid_t)) : id_{id}, close_{close_id} {}
  ~Handle() { close(); }
  void close() {
    if (id_ < 0) return;
    const Lock lock;
    close_(std::exchange(id_, -1));
  }
  Handle(Handle&& other) noexcept : id_{std::exchange(other.id_, -1)}, close_{other.close_} {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  operator hid_t() const { return id_; }
  bool ok() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

/// To be called before other functions of the library, on each thread: disables its messages, and
/// its exit handler, which would crash if a file could not be closed because the disk is full.
void initialize();

/// A file that exists but cannot be opened now: by its permissions, by a lock of another program,
/// or for lack of descriptors. It may be undamaged.
class UnavailableFile : public UserError {
 public:
  using UserError::UserError;
};

enum class Access { read, write };
/// Throws UnavailableFile with the reason if the file cannot be opened, or, where `respects_locks`,
/// if another program has locked it. Where the file system has no locks, nobody has.
void check_available(const std::filesystem::path& path, Access access, bool respects_locks = true);
/// Access to a file without the library's own locks: it refuses file systems that have none.
Handle access_without_locks();
/// Opens a file, without a lock of its own.  Throws UnavailableFile with the reason, also if
/// another program has locked it (for reading: has it open for writing), and UserError if it is no
/// HDF5 file.
///   what: the file that is expected, for messages
Handle open_file(const std::filesystem::path& path, Access access, const std::string& what);
/// The same whether it is locked or not: for files that only this program writes.
Handle open_own_file(const std::filesystem::path& path, Access access, const std::string& what);

/// A new file, in the format of HDF5 1.8: in older formats an attribute may not exceed 64 kB, as
/// the text of an experiment may.  Throws UserError.
Handle create_file(const std::filesystem::path& path);
/// Throws UserError naming the file unless `ok`.
void check_written(bool ok, const std::filesystem::path& path);

/// Lets objects that are opened with this property list of access be in the file itself only.
void follow_no_external_link(hid_t access);
/// A data set of the file itself; check ok().
Handle open_data_set(hid_t file, const std::string& name);
/// A data space of these extents; without extents: of one value.
Handle simple_space(std::span<const hsize_t> extents);
std::vector<hsize_t> extents_of(hid_t data_set);

void write_text(hid_t object, const char* name, const std::string& text,
                const std::filesystem::path& path);
template <class T>
void write_number(hid_t object, const char* name, hid_t type, T value,
                  const std::filesystem::path& path) {
  const Handle space{H5Screate(H5S_SCALAR), H5Sclose};
  const Handle attribute{H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose};
  check_written(attribute.ok() && H5Awrite(attribute, type, &value) >= 0, path);
}

/// Each returns false if there is no such attribute, or it is not a single text or number.
bool read_text(hid_t object, const char* name, std::string& text);
template <class T>
bool read_number(hid_t object, const char* name, hid_t type, T& value) {
  if (H5Aexists(object, name) <= 0) return false;
  const Handle attribute{H5Aopen(object, name, H5P_DEFAULT), H5Aclose};
  const Handle space{H5Aget_space(attribute), H5Sclose};
  return H5Sget_simple_extent_npoints(space) == 1 && H5Aread(attribute, type, &value) >= 0;
}

}  // namespace lateral::hdf5
