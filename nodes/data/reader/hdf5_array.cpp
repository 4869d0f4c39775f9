// Arrays of HDF5 files: what is accepted, and reading by rows.
#include "nodes/data/reader/hdf5_array.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "nodes/base/failure.hpp"
#include "nodes/base/hdf5.hpp"
#include "nodes/base/hdf5_storage.hpp"
#include "nodes/data/reader/element.hpp"
#include "nodes/data/reader/input_file.hpp"

namespace lateral {
namespace {

using hdf5::Handle;

/// Bytes that are read from a file at once, unless a row has more.
constexpr std::size_t piece_bytes = std::size_t{1} << 22;
/// Labels that are read at once: texts of variable length are allocated one by one.
constexpr std::size_t piece_labels = 1024;
/// Unpacked chunks that are kept, at least and at most.
constexpr std::size_t cache_bytes_min = std::size_t{1} << 20;
constexpr std::size_t cache_bytes_max = hdf5_chunk_bytes_max;
constexpr std::size_t names_shown_max = 10;
constexpr std::size_t names_visited_max = 10'000;

[[noreturn]] void refuse(const std::string& origin, const std::string& reason) {
  throw UserError(one_line(fmt::format("{}: {}", origin, reason)));
}

// ---- the file

/// Why a file could not be opened, by the library's messages.
struct OpenFailure {
  bool is_unclosed = false;  ///< the file says that a program writes to it
};

herr_t find_reason(unsigned, const H5E_error2_t* error, void* failure) {
  OpenFailure& found = *static_cast<OpenFailure*>(failure);
  const std::string_view text = error->desc == nullptr ? "" : error->desc;
  if (text.find("already open for") != text.npos) found.is_unclosed = true;
  return 0;
}

Handle open_file(const std::filesystem::path& path) {
  // For the system's reason if it cannot be opened at all.
  { const InputFile readable{path, "an HDF5 file"}; }
  hdf5::check_available(path, hdf5::Access::read);
  const Handle access = hdf5::access_without_locks();
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access);
  if (file < 0) {
    OpenFailure failure;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, find_reason, &failure);
    if (failure.is_unclosed)
      refuse(path.string(),
             "was opened for writing and not closed, expected a closed file; if no program has it "
             "open any more, h5clear -s makes it readable");
    refuse(path.string(), "damaged or not an HDF5 file, expected an HDF5 file");
  }
  return {file, H5Fclose};
}

struct Names {
  std::vector<std::string> shown;
  std::size_t visited = 0;
};

herr_t collect_data_set(hid_t, const char* name, const H5O_info_t* about, void* names) {
  Names& all = *static_cast<Names*>(names);
  if (about->type == H5O_TYPE_DATASET) all.shown.emplace_back(name);
  return all.shown.size() > names_shown_max || ++all.visited > names_visited_max ? 1 : 0;
}

std::string names_text(hid_t file) {
  Names names;
  H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, collect_data_set, &names, H5O_INFO_BASIC);
  if (names.shown.empty()) return "the file to have a data set";
  const bool more = names.shown.size() > names_shown_max;
  if (more) names.shown.resize(names_shown_max);
  return fmt::format("one of: {}{}", fmt::join(names.shown, ", "), more ? ", …" : "");
}

Handle open_object(hid_t file, const std::string& name, const std::string& file_name) {
  const Handle access{H5Pcreate(H5P_LINK_ACCESS), H5Pclose};
  hdf5::follow_no_external_link(access);
  const hid_t object = name.empty() || name.find('\0') != std::string::npos
                           ? H5I_INVALID_HID
                           : H5Oopen(file, name.c_str(), access);
  if (object < 0)
    refuse(file_name,
           fmt::format("has no data set '{}' of its own, expected {}", name, names_text(file)));
  if (H5Iget_type(object) != H5I_DATASET) {
    H5Oclose(object);
    refuse(file_name, fmt::format("'{}' is not a data set, expected {}", name, names_text(file)));
  }
  return {object, H5Oclose};
}

// ---- the type

const char* class_name(H5T_class_t type_class) {
  switch (type_class) {
    case H5T_TIME:
      return "times";
    case H5T_BITFIELD:
      return "bit fields";
    case H5T_OPAQUE:
      return "opaque bytes";
    case H5T_COMPOUND:
      return "a compound type";
    case H5T_REFERENCE:
      return "references";
    case H5T_VLEN:
      return "lists of variable length";
    case H5T_ARRAY:
      return "arrays";
    default:
      return "an unknown type";
  }
}

struct ValueType {
  ElementType element;          ///< in memory
  bool variable_text = false;   ///< char* in memory
  std::size_t file_bytes = 0;   ///< of one value
  bool unsigned_bytes = false;  ///< in the file
};

ValueType value_type(hid_t type, const std::string& origin) {
  ValueType value;
  value.file_bytes = H5Tget_size(type);
  const H5T_class_t type_class = H5Tget_class(type);
  if (type_class == H5T_INTEGER || type_class == H5T_ENUM) {
    if (value.file_bytes == 0 || value.file_bytes > 8)
      refuse(origin, fmt::format("integers of {} bytes, expected 1 to 8", value.file_bytes));
    const Handle base{type_class == H5T_ENUM ? H5Tget_super(type) : H5Tcopy(type), H5Tclose};
    const bool is_unsigned = H5Tget_sign(base) == H5T_SGN_NONE;
    value.element = {is_unsigned ? ElementForm::unsigned_integer : ElementForm::signed_integer, 8};
    value.unsigned_bytes = is_unsigned && value.file_bytes == 1 && type_class == H5T_INTEGER;
  } else if (type_class == H5T_FLOAT) {
    if (value.file_bytes < 2 || value.file_bytes > 16)
      refuse(origin, fmt::format("real numbers of {} bytes, expected 2 to 16", value.file_bytes));
    value.element = {ElementForm::real, 8};
  } else if (type_class == H5T_STRING) {
    value.variable_text = H5Tis_variable_str(type) > 0;
    value.element = {ElementForm::bytes, value.file_bytes};
    if (!value.variable_text &&
        (value.file_bytes == 0 || value.file_bytes > element_text_bytes_max))
      refuse(origin, fmt::format("text of {} bytes, expected at most {}", value.file_bytes,
                                 element_text_bytes_max));
  } else {
    refuse(origin, fmt::format("holds {}, expected numbers or text", class_name(type_class)));
  }
  return value;
}

// ---- the layout

/// The chunks that a row crosses are kept unpacked, within limits.
std::size_t cache_bytes_of(hid_t data_set, std::size_t value_bytes) {
  const Handle properties{H5Dget_create_plist(data_set), H5Pclose};
  if (H5Pget_layout(properties) != H5D_CHUNKED) return 0;
  const std::vector<hsize_t> extents = hdf5::extents_of(data_set);
  std::vector<hsize_t> chunk(extents.size());
  H5Pget_chunk(properties, static_cast<int>(chunk.size()), chunk.data());
  std::size_t bytes = value_bytes;
  for (std::size_t d = 0; d < chunk.size(); ++d) {
    const std::size_t extent = d == 0 ? chunk[0] : ((extents[d] - 1) / chunk[d] + 1) * chunk[d];
    if (extent > cache_bytes_max / bytes) return cache_bytes_max;
    bytes *= extent;
  }
  return std::max(bytes, cache_bytes_min);
}

/// The same data set, opened again with a cache of that size.
Handle open_with_cache(hid_t file, const std::string& name, std::size_t cache_bytes) {
  constexpr std::size_t slots = 10'007;  // a prime, as the library asks for
  const Handle access{H5Pcreate(H5P_DATASET_ACCESS), H5Pclose};
  if (cache_bytes > 0) H5Pset_chunk_cache(access, slots, cache_bytes, 1.0);
  hdf5::follow_no_external_link(access);
  return {H5Dopen2(file, name.c_str(), access), H5Dclose};
}

// ---- texts of variable length

void* allocate_text(std::size_t bytes, void*) {
  return bytes > element_text_bytes_max ? nullptr : std::malloc(bytes);
}
void free_text(void* text, void*) { std::free(text); }

class Hdf5Array final : public SampleArray {
 public:
  Hdf5Array(const std::filesystem::path& path, const std::string& name)
      : origin_{one_line(fmt::format("{}: {}", path.string(), name))},
        file_{open_file(path)},
        data_set_{open_checked(path, name)} {
    if (!data_set_.ok()) refuse(origin_, "cannot be opened");
  }

  const std::vector<std::size_t>& shape() const override { return shape_; }
  ElementKind kind() const override {
    return type_.unsigned_bytes ? ElementKind::unsigned_byte : kind_of(type_.element);
  }
  const std::string& origin() const override { return origin_; }

  void read(std::size_t first, std::size_t count, float* out) const override {
    const hdf5::Lock lock;
    check_rows(*this, first, count);
    const std::size_t values = row_values();
    if (count > 0 && kind() == ElementKind::text)
      convert_values(type_.element, nullptr, 1, out, place(first));
    const std::size_t most = std::max<std::size_t>(1, piece_bytes / (values * sizeof(double)));
    for (std::size_t done = 0; done < count;) {
      const std::size_t rows = std::min(most, count - done);
      buffer_.resize(rows * values * type_.element.bytes);
      read_rows(first + done, rows, number_type(), H5P_DEFAULT, buffer_.data());
      convert_values(type_.element, buffer_.data(), rows * values, out + done * values,
                     place(first + done));
      done += rows;
    }
  }

  std::vector<std::string> read_labels(std::size_t first, std::size_t count) const override {
    const hdf5::Lock lock;
    check_label_rows(*this, first, count);
    std::vector<std::string> labels;
    for (std::size_t done = 0; done < count;) {
      const std::size_t rows = std::min(piece_labels, count - done);
      if (type_.variable_text)
        append_variable_texts(first + done, rows, labels);
      else
        append_labels(first + done, rows, labels);
      done += rows;
    }
    return labels;
  }

 private:
  Handle open_checked(const std::filesystem::path& path, const std::string& name) {
    Handle object = open_object(file_, name, path.string());
    const Handle type{H5Dget_type(object), H5Tclose};
    type_ = value_type(type, origin_);
    const Handle space{H5Dget_space(object), H5Sclose};
    if (H5Sget_simple_extent_type(space) == H5S_NULL) refuse(origin_, "has no values");
    for (const hsize_t extent : hdf5::extents_of(object)) shape_.push_back(extent);
    std::error_code failure;
    const std::uintmax_t bytes = std::filesystem::file_size(path, failure);
    if (failure) refuse(path.string(), failure.message());
    array_bytes(shape_, type_.file_bytes, origin_);
    hdf5::check_storage(object, origin_, {bytes, hdf5_chunk_bytes_max});
    // A data set that is open keeps the cache that it was opened with.
    const std::size_t cache_bytes = cache_bytes_of(object, type_.file_bytes);
    object.close();
    return open_with_cache(file_, name, cache_bytes);
  }

  ValuePlace place(std::size_t row) const { return {origin_, row_values(), row * row_values(), 1}; }

  hid_t number_type() const {
    if (type_.element.form == ElementForm::real) return H5T_NATIVE_DOUBLE;
    return type_.element.form == ElementForm::unsigned_integer ? H5T_NATIVE_UINT64
                                                               : H5T_NATIVE_INT64;
  }

  void read_rows(std::size_t first, std::size_t rows, hid_t type, hid_t transfer, void* out) const {
    const Handle space{H5Dget_space(data_set_), H5Sclose};
    std::vector<hsize_t> start(shape_.size(), 0), extents(shape_.begin(), shape_.end());
    start[0] = first;
    extents[0] = rows;
    const Handle memory = hdf5::simple_space(extents);
    if (H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, extents.data(), nullptr) <
            0 ||
        H5Dread(data_set_, type, memory, space, transfer, out) < 0)
      refuse(origin_, fmt::format("rows {} to {} cannot be read (damaged or truncated?)", first,
                                  first + rows - 1));
  }

  void append_labels(std::size_t first, std::size_t rows, std::vector<std::string>& labels) const {
    const bool is_text = type_.element.form == ElementForm::bytes;
    const std::size_t bytes = type_.element.bytes;
    // In the file's own encoding, padded with zero bytes.
    const Handle in_file{H5Dget_type(data_set_), H5Tclose};
    const Handle type{H5Tcopy(is_text ? hid_t{in_file} : number_type()), H5Tclose};
    buffer_.assign(rows * bytes, 0);
    read_rows(first, rows, type, H5P_DEFAULT, buffer_.data());
    const bool padded_with_spaces = is_text && H5Tget_strpad(type) == H5T_STR_SPACEPAD;
    for (std::size_t i = 0; i < rows; ++i) {
      std::uint8_t* const value = buffer_.data() + i * bytes;
      for (std::size_t b = bytes; padded_with_spaces && b > 0 && value[b - 1] == ' '; --b)
        value[b - 1] = 0;
      labels.push_back(label_of(type_.element, value, place(first), i));
    }
  }

  void append_variable_texts(std::size_t first, std::size_t rows,
                             std::vector<std::string>& labels) const {
    const Handle in_file{H5Dget_type(data_set_), H5Tclose};
    const Handle transfer{H5Pcreate(H5P_DATASET_XFER), H5Pclose};
    H5Pset_vlen_mem_manager(transfer, allocate_text, nullptr, free_text, nullptr);
    // Also frees what a read that failed has allocated.
    struct Texts {
      std::vector<char*> pointers;
      ~Texts() {
        for (char* text : pointers) std::free(text);
      }
    } texts{std::vector<char*>(rows, nullptr)};
    read_rows(first, rows, in_file, transfer, texts.pointers.data());
    for (std::size_t i = 0; i < rows; ++i) {
      const char* const text = texts.pointers[i];
      if (text == nullptr || *text == '\0') refuse_value(place(first), i, "empty text", "a label");
      labels.emplace_back(text);
    }
  }

  std::string origin_;
  std::vector<std::size_t> shape_;
  ValueType type_;
  Handle file_;
  Handle data_set_;
  mutable std::vector<std::uint8_t> buffer_;
};

}  // namespace

std::unique_ptr<SampleArray> open_hdf5(const std::filesystem::path& file, const std::string& name) {
  const hdf5::Lock lock;
  hdf5::initialize();
  return std::make_unique<Hdf5Array>(file, name);
}

}  // namespace lateral
