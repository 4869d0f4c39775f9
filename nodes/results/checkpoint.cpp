// Writing and reading checkpoints with the HDF5 library.
#include "nodes/results/checkpoint.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>
#include <type_traits>

#include "nodes/base/digest.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/base/hdf5.hpp"
#include "nodes/base/hdf5_storage.hpp"
#include "nodes/base/version.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;
using hdf5::check_written;
using hdf5::Handle;

// ---- The header

/// The attributes that describe a checkpoint, in the order in which `digest` covers them.
struct Header {
  std::uint32_t format_version = 0;
  std::string lateral_version, experiment;
  std::uint64_t step = 0, epoch = 0;
  double wall_seconds = 0, first_loss = 0, epoch_loss_sum = 0;
  std::uint64_t epoch_correct = 0, epoch_samples = 0;
  std::string tensors;  ///< a line for each: "<layer>/<name> <extent>…", in the order of the digest
  std::string state_sha256;

  /// Calls visit(name, value) for each attribute; returns whether all calls returned true.
  template <class Self, class Visit>
  static bool visit(Self& self, Visit&& visit) {
    return visit("format_version", self.format_version) &&
           visit("lateral_version", self.lateral_version) && visit("experiment", self.experiment) &&
           visit("step", self.step) && visit("epoch", self.epoch) &&
           visit("wall_seconds", self.wall_seconds) && visit("first_loss", self.first_loss) &&
           visit("epoch_loss_sum", self.epoch_loss_sum) &&
           visit("epoch_correct", self.epoch_correct) &&
           visit("epoch_samples", self.epoch_samples) && visit("tensors", self.tensors) &&
           visit("state_sha256", self.state_sha256);
  }
};

hid_t type_of(std::uint32_t) { return H5T_STD_U32LE; }
hid_t type_of(std::uint64_t) { return H5T_STD_U64LE; }
hid_t type_of(double) { return H5T_IEEE_F64LE; }

struct WriteAttribute {
  hid_t file;
  const fs::path& path;
  bool operator()(const char* name, const std::string& value) const {
    hdf5::write_text(file, name, value, path);
    return true;
  }
  template <class Number>
  bool operator()(const char* name, Number value) const {
    hdf5::write_number(file, name, type_of(value), value, path);
    return true;
  }
};

struct ReadAttribute {
  hid_t file;
  std::string& missing;  ///< the first attribute that could not be read
  bool operator()(const char* name, std::string& value) const {
    return hdf5::read_text(file, name, value) || report(name);
  }
  template <class Number>
  bool operator()(const char* name, Number& value) const {
    return hdf5::read_number(file, name, type_of(value), value) || report(name);
  }
  bool report(const char* name) const {
    missing = name;
    return false;
  }
};

/// Of each attribute "<name> <bytes>\n" and its bytes, numbers little-endian.
std::string digest_of(const Header& header) {
  Sha256 digest;
  Header::visit(header, [&]<class Value>(const char* name, const Value& value) {
    if constexpr (std::is_same_v<Value, std::string>) {
      digest.add(fmt::format("{} {}\n", name, value.size()));
      digest.add(value);
    } else {
      digest.add(fmt::format("{} {}\n", name, sizeof value));
      digest.add(&value, sizeof value);
    }
    return true;
  });
  return to_hex(digest.finish());
}

constexpr const char* digest_name = "digest";

std::string path_of(const CheckpointTensor& tensor) {
  return fmt::format("{}/{}", tensor.layer, tensor.name);
}

/// What state_sha256() adds for one tensor.
void add_to(Sha256& digest, const CheckpointTensor& tensor) {
  digest.add(path_of(tensor) + "\n");
  digest.add(tensor.values.data(), tensor.values.bytes());
}

std::string list_of(const std::vector<CheckpointTensor>& tensors) {
  std::string list;
  for (const CheckpointTensor& tensor : tensors)
    list += fmt::format("{} {}\n", path_of(tensor), fmt::join(tensor.shape, " "));
  return list;
}

// ---- Writing

void write_all(const fs::path& path, const Checkpoint& checkpoint) {
  const hdf5::Lock lock;
  const Handle file = hdf5::create_file(path);
  const Header header{checkpoint_format_version,
                      version(),
                      checkpoint.experiment,
                      checkpoint.step,
                      checkpoint.epoch,
                      checkpoint.wall_seconds,
                      checkpoint.first_loss,
                      checkpoint.train.loss(),
                      checkpoint.train.correct(),
                      checkpoint.train.samples(),
                      list_of(checkpoint.tensors),
                      state_sha256(checkpoint.tensors)};
  Header::visit(header, WriteAttribute{file, path});
  hdf5::write_text(file, digest_name, digest_of(header), path);

  const Handle links{H5Pcreate(H5P_LINK_CREATE), H5Pclose};
  H5Pset_create_intermediate_group(links, 1);
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    const std::string name = fmt::format("/layers/{}", path_of(tensor));
    const Handle space =
        hdf5::simple_space(std::vector<hsize_t>(tensor.shape.begin(), tensor.shape.end()));
    const Handle set{
        H5Dcreate2(file, name.c_str(), H5T_IEEE_F32LE, space, links, H5P_DEFAULT, H5P_DEFAULT),
        H5Dclose};
    check_written(set.ok(), path);
    if (tensor.values.size() > 0)
      check_written(
          H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.values.data()) >= 0,
          path);
  }
  check_written(H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0, path);
}

// ---- Reading

[[noreturn]] void refuse(const fs::path& path, const std::string& object,
                         const std::string& expected) {
  throw UserError(fmt::format("{}: {}, expected {}", path.string(), object, expected));
}

/// Called by H5Lvisit for every link of a file; `data`: a vector to which the names are appended.
herr_t collect_name(hid_t, const char* name, const H5L_info_t* link, void* data) {
  if (link->type != H5L_TYPE_HARD) return -1;  // no other file is read
  constexpr std::size_t objects_max = 100000;
  auto& names = *static_cast<std::vector<std::string>*>(data);
  if (names.size() >= objects_max) return -1;
  names.emplace_back(name);
  return 0;
}

/// Reads data sets of one file, within the limits.
class TensorReader {
 public:
  TensorReader(const fs::path& path, hid_t file, const CheckpointLimits& limits)
      : path_{path},
        file_{file},
        file_bytes_{fs::file_size(path)},
        limits_{limits},
        left_{limits.total_bytes_max} {}

  /// `name`: below the root
  CheckpointTensor read(const std::string& name) {
    const std::string where = fmt::format("data set /{}", name);
    constexpr std::string_view root = "layers/";
    const std::size_t slash = name.find('/', root.size());
    if (!name.starts_with(root) || slash == std::string::npos)
      refuse(path_, where, "data sets /layers/<layer>/…");
    CheckpointTensor tensor;
    tensor.layer = name.substr(root.size(), slash - root.size());
    tensor.name = name.substr(slash + 1);
    const Handle set = hdf5::open_data_set(file_, name);
    if (!set.ok()) refuse(path_, fmt::format("{} cannot be opened", where), "an undamaged file");
    const std::size_t values = take_shape(set, where, tensor);
    tensor.values = Block(values);
    if (values > 0 &&
        H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.values.data()) < 0)
      refuse(path_, fmt::format("{} is damaged", where), "values that can be read");
    return tensor;
  }

  /// The values of a tensor that read() returned are not kept.
  void dropped(const CheckpointTensor& tensor) { left_ += tensor.values.bytes(); }

 private:
  /// The number of values. Everything that the file says about them is checked before any memory is
  /// allocated for them.
  std::size_t take_shape(hid_t set, const std::string& where, CheckpointTensor& tensor) {
    const std::vector<hsize_t> extents = hdf5::extents_of(set);
    const Handle type{H5Dget_type(set), H5Tclose};
    if (H5Tget_class(type) != H5T_FLOAT || H5Tget_size(type) > sizeof(double) || extents.empty() ||
        extents.size() > 2)
      refuse(path_, where, "floating-point numbers of one or two dimensions");
    hsize_t values = 1;
    for (const hsize_t extent : extents) {
      if (extent > 0 && values > limits_.tensor_bytes_max / sizeof(float) / extent)
        refuse(path_, where,
               fmt::format("at most {} bytes, the largest tensor of this network",
                           limits_.tensor_bytes_max));
      values *= extent;
      tensor.shape.push_back(static_cast<std::uint32_t>(extent));
    }
    if (values * sizeof(float) > left_)
      refuse(path_, fmt::format("more than {} bytes of data sets", limits_.total_bytes_max),
             "the state of this network");
    left_ -= values * sizeof(float);
    hdf5::check_storage(set, fmt::format("{}: {}", path_.string(), where),
                        {file_bytes_, chunk_bytes_max, true});
    return values;
  }

  /// Packed and unpacked, two of these are in memory beside the state.
  static constexpr std::size_t chunk_bytes_max = std::size_t{1} << 24;

  const fs::path& path_;
  hid_t file_;
  std::size_t file_bytes_;
  CheckpointLimits limits_;
  std::size_t left_;
};

bool is_of(const std::string& layer, const CheckpointTensor& tensor) {
  return layer.empty() || tensor.layer == layer;
}

/// A file that a run has written: nothing of it is used unless all of it matches its digest.
Checkpoint read_with_digest(const fs::path& path, hid_t file, const CheckpointLimits& limits,
                            const std::string& layer) {
  Header header;
  std::string missing, digest;
  if (!Header::visit(header, ReadAttribute{file, missing}) ||
      !ReadAttribute{file, missing}(digest_name, digest))
    refuse(path, fmt::format("attribute {} is missing or damaged", missing),
           "an undamaged checkpoint, or a file of tensors without attributes");
  if (header.format_version != checkpoint_format_version)
    refuse(path, fmt::format("format_version {}", header.format_version),
           fmt::to_string(checkpoint_format_version));
  const auto refuse_damage = [&] {
    refuse(path, "is damaged or was edited: its content does not match its digest",
           "an undamaged checkpoint (to use edited tensors, copy /layers into a new file)");
  };
  if (digest != digest_of(header)) refuse_damage();

  Checkpoint checkpoint;
  checkpoint.experiment = std::move(header.experiment);
  checkpoint.step = header.step;
  checkpoint.epoch = header.epoch;
  checkpoint.wall_seconds = header.wall_seconds;
  checkpoint.first_loss = header.first_loss;
  checkpoint.train.set_loss(header.epoch_loss_sum);
  checkpoint.train.set_correct(header.epoch_correct);
  checkpoint.train.set_samples(header.epoch_samples);
  checkpoint.complete_header = true;
  TensorReader reader{path, file, limits};
  Sha256 state;
  std::istringstream list{header.tensors};
  for (std::string line; std::getline(list, line);) {
    CheckpointTensor tensor = reader.read("layers/" + line.substr(0, line.find(' ')));
    if (list_of({tensor}) != line + "\n") refuse_damage();
    add_to(state, tensor);
    if (is_of(layer, tensor))
      checkpoint.tensors.push_back(std::move(tensor));
    else
      reader.dropped(tensor);
  }
  if (to_hex(state.finish()) != header.state_sha256) refuse_damage();
  return checkpoint;
}

/// A file of the user's own.
Checkpoint read_without_digest(const fs::path& path, hid_t file, const CheckpointLimits& limits) {
  std::vector<std::string> names;
  if (H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, collect_name, &names) < 0)
    throw UserError(
        fmt::format("{}: cannot be read, expected an undamaged HDF5 file without links to others",
                    path.string()));
  Checkpoint checkpoint;
  TensorReader reader{path, file, limits};
  for (const std::string& name : names) {
    const Handle object{H5Oopen(file, name.c_str(), H5P_DEFAULT), H5Oclose};
    if (!object.ok()) refuse(path, fmt::format("/{} cannot be opened", name), "an undamaged file");
    if (H5Iget_type(object) == H5I_DATASET)
      checkpoint.tensors.push_back(reader.read(name));
    else if (H5Iget_type(object) != H5I_GROUP)
      refuse(path, fmt::format("/{}", name), "groups and data sets only");
  }
  if (checkpoint.tensors.empty()) refuse(path, "no data set", "at least one below /layers");
  return checkpoint;
}

/// Whether the file has any of the attributes that a run writes: also one that is damaged must not
/// be taken for a file of the user's own.
bool has_checkpoint_attributes(hid_t file) {
  Header names;
  return H5Aexists(file, digest_name) > 0 ||
         !Header::visit(names, [&](const char* name, auto&) { return H5Aexists(file, name) == 0; });
}

}  // namespace

void write_checkpoint(const fs::path& path, const fs::path& previous, const Checkpoint& checkpoint,
                      Disk& disk) {
  hdf5::initialize();
  const fs::path temporary = path.string() + ".tmp";
  try {
    write_all(temporary, checkpoint);
    disk.sync(temporary);
    // From the second checkpoint on, two different ones exist at every moment.
    const fs::path replaced = previous.string() + ".tmp";
    const bool replaces = fs::exists(path);
    if (replaces) disk.link(path, replaced);
    disk.rename(temporary, path);
    if (replaces) disk.rename(replaced, previous);
    disk.sync_folder(folder_of(path));
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);  // frees the space on a full disk
    throw;
  }
}

Checkpoint read_checkpoint(const fs::path& path, const CheckpointLimits& limits,
                           const std::string& layer) {
  const hdf5::Lock lock;
  std::error_code missing;
  if (const fs::file_status status = fs::status(path, missing);
      fs::exists(status) ? !fs::is_regular_file(status) : status.type() == fs::file_type::not_found)
    throw UserError(fmt::format("{}: no such checkpoint", path.string()));
  // The replacement of a node must not depend on a lock of another program.
  const Handle file = layer.empty() ? hdf5::open_file(path, hdf5::Access::read, "a checkpoint")
                                    : hdf5::open_own_file(path, hdf5::Access::read, "a checkpoint");

  return has_checkpoint_attributes(file) ? read_with_digest(path, file, limits, layer)
                                         : read_without_digest(path, file, limits);
}

Checkpoint newest_checkpoint(const RunDirectory& directory, const CheckpointLimits& limits,
                             const std::function<void(const std::string&)>& note, bool repair) {
  const auto read = [&](const fs::path& path) {
    Checkpoint checkpoint = read_checkpoint(path, limits);
    if (!checkpoint.complete_header)
      throw UserError(
          fmt::format("{}: lacks the position of its run, expected a checkpoint written by lateral",
                      path.string()));
    return checkpoint;
  };
  try {
    return read(directory.checkpoint());
  } catch (const hdf5::UnavailableFile&) {
    throw;  // not damaged: the older one must not take its place
  } catch (const UserError& damage) {
    if (!fs::exists(directory.previous_checkpoint())) throw;
    try {
      Checkpoint previous = read(directory.previous_checkpoint());
      note(fmt::format("{}; taking {}, of step {}", damage.what(),
                       directory.previous_checkpoint().string(), previous.step));
      if (repair) real_disk().rename(directory.previous_checkpoint(), directory.checkpoint());
      return previous;
    } catch (const UserError& second_damage) {
      throw UserError(fmt::format("{}; and {}", damage.what(), second_damage.what()));
    }
  }
}

std::string state_sha256(const std::vector<CheckpointTensor>& tensors) {
  Sha256 digest;
  for (const CheckpointTensor& tensor : tensors) add_to(digest, tensor);
  return to_hex(digest.finish());
}

}  // namespace lateral
