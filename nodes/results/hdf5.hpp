// What the writers of HDF5 files share: identifiers that close themselves, and attributes.
#pragma once

#include <hdf5.h>

#include <filesystem>
#include <string>

#include "nodes/base/failure.hpp"

namespace lateral::hdf5 {

/// An HDF5 identifier that closes itself.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_{id}, close_{close} {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  operator hid_t() const { return id_; }
  bool ok() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

/// Before anything else of the library, on each thread: no messages of its own, and no handler at
/// exit, which would crash on a file that a full disk kept from being closed.
inline void begin() {
  H5dont_atexit();
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

/// A new file, in the format of HDF5 1.8: in an older one an attribute may not exceed 64 kB, which
/// the text of an experiment may.
inline hid_t create_file(const std::filesystem::path& path) {
  const Handle access{H5Pcreate(H5P_FILE_ACCESS), H5Pclose};
  H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
  return H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
}

/// Throws UserError naming the file unless `ok`.
inline void must(bool ok, const std::filesystem::path& path) {
  if (!ok) throw UserError(path.string() + ": cannot be written (is the disk full?)");
}

inline void write_text(hid_t object, const char* name, const std::string& text,
                       const std::filesystem::path& path) {
  const Handle type{H5Tcopy(H5T_C_S1), H5Tclose};
  H5Tset_size(type, text.empty() ? 1 : text.size());
  H5Tset_cset(type, H5T_CSET_UTF8);
  const Handle space{H5Screate(H5S_SCALAR), H5Sclose};
  const Handle attribute{H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose};
  must(attribute.ok() && H5Awrite(attribute, type, text.c_str()) >= 0, path);
}

template <class T>
void write_number(hid_t object, const char* name, hid_t type, T value,
                  const std::filesystem::path& path) {
  const Handle space{H5Screate(H5S_SCALAR), H5Sclose};
  const Handle attribute{H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose};
  must(attribute.ok() && H5Awrite(attribute, type, &value) >= 0, path);
}

}  // namespace lateral::hdf5
