// What is accepted of the way in which a data set of an HDF5 file is stored.
#pragma once

#include <hdf5.h>

#include <cstddef>
#include <string>

namespace lateral::hdf5 {

struct StorageLimits {
  std::size_t file_bytes;       ///< the size of the file
  std::size_t chunk_bytes_max;  ///< of an unpacked chunk, which is unpacked as a whole
  /// Unpacks each packed chunk once beforehand, in pieces: the library would allocate whatever a
  /// chunk unpacks to. For small data sets of which memory is limited strictly.
  bool tries_unpacking = false;
};

/// To be called before values are read or memory is allocated for them. Accepts values that are in
/// this file and were all written, stored contiguously, compactly or in chunks; chunks plain or
/// with the filters deflate (gzip), shuffle and fletcher32.  Throws UserError "<origin>: …".
void check_storage(hid_t data_set, const std::string& origin, const StorageLimits& limits);

}  // namespace lateral::hdf5
