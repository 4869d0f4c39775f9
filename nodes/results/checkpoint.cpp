// Writing and reading checkpoints with the HDF5 library.
#include "nodes/results/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "nodes/base/digest.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"
#include "nodes/base/hdf5.hpp"
#include "nodes/base/version.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;
using hdf5::check_written;
using hdf5::Handle;
using hdf5::read_number;
using hdf5::write_number;

// ---- Writing

void write_all(const fs::path& path, const Checkpoint& checkpoint) {
  const hdf5::Lock lock;
  const Handle file = hdf5::create_file(path);
  write_number(file, "format_version", H5T_NATIVE_UINT32, checkpoint_format_version, path);
  hdf5::write_text(file, "lateral_version", version(), path);
  hdf5::write_text(file, "experiment", checkpoint.experiment, path);
  write_number(file, "step", H5T_NATIVE_UINT64, checkpoint.step, path);
  write_number(file, "epoch", H5T_NATIVE_UINT64, checkpoint.epoch, path);
  write_number(file, "epoch_loss_sum", H5T_NATIVE_DOUBLE, checkpoint.train.loss(), path);
  write_number(file, "epoch_correct", H5T_NATIVE_UINT64, checkpoint.train.correct(), path);
  write_number(file, "epoch_samples", H5T_NATIVE_UINT64, checkpoint.train.samples(), path);
  write_number(file, "wall_seconds", H5T_NATIVE_DOUBLE, checkpoint.wall_seconds, path);

  const Handle links{H5Pcreate(H5P_LINK_CREATE), H5Pclose};
  H5Pset_create_intermediate_group(links, 1);
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    const std::string name = fmt::format("/layers/{}/{}", tensor.layer, tensor.name);
    const std::vector<hsize_t> shape(tensor.shape.begin(), tensor.shape.end());
    const Handle space = hdf5::simple_space(shape);
    // A checksum for each chunk: the library refuses to read a damaged one. Chunks are whole rows,
    // far smaller than the library's limit of 4 GB.
    const Handle creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
    if (tensor.values.size() > 0) {
      constexpr hsize_t chunk_values = 1 << 18;
      std::vector<hsize_t> chunk = shape;
      const hsize_t row = shape.size() > 1 ? shape[1] : 1;
      chunk[0] = std::clamp<hsize_t>(chunk_values / row, 1, shape[0]);
      H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data());
      H5Pset_fletcher32(creation);
    }
    const Handle set{
        H5Dcreate2(file, name.c_str(), H5T_IEEE_F32LE, space, links, creation, H5P_DEFAULT),
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

CheckpointTensor read_tensor(const fs::path& path, hid_t file, const std::string& name,
                             std::size_t tensor_bytes_max) {
  const std::string where = fmt::format("data set /{}", name);
  constexpr std::string_view root = "layers/";
  const std::size_t slash = name.find('/', root.size());
  if (!name.starts_with(root) || slash == std::string::npos)
    refuse(path, where, "data sets /layers/<layer>/…");
  CheckpointTensor tensor;
  tensor.layer = name.substr(root.size(), slash - root.size());
  tensor.name = name.substr(slash + 1);

  const Handle set = hdf5::open_data_set(file, name);
  const Handle type{H5Dget_type(set), H5Tclose};
  const Handle creation{H5Dget_create_plist(set), H5Pclose};
  if (H5Pget_external_count(creation) > 0)
    refuse(path, fmt::format("{} is stored in another file", where), "its values in this file");
  const std::vector<hsize_t> extents = hdf5::extents_of(set);
  if (H5Tget_class(type) != H5T_FLOAT || extents.empty() || extents.size() > 2)
    refuse(path, where, "floating-point numbers of one or two dimensions");
  hsize_t values = 1;
  for (const hsize_t extent : extents) {
    if (extent > 0 && values > tensor_bytes_max / sizeof(float) / extent)
      refuse(path, where,
             fmt::format("at most {} bytes, the largest tensor of this network", tensor_bytes_max));
    values *= extent;
    tensor.shape.push_back(static_cast<std::uint32_t>(extent));
  }
  tensor.values = Block(static_cast<std::size_t>(values));
  if (values > 0 &&
      H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.values.data()) < 0)
    refuse(path, fmt::format("{} is damaged", where), "values that match their checksum");
  return tensor;
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

  Checkpoint checkpoint;
  std::uint32_t format = 0;
  if (read_number(file, "format_version", H5T_NATIVE_UINT32, format) &&
      format != checkpoint_format_version)
    refuse(path, fmt::format("format_version {}", format),
           fmt::to_string(checkpoint_format_version));
  double loss = 0;
  std::uint64_t correct = 0, samples = 0;
  checkpoint.complete_header =
      read_number(file, "step", H5T_NATIVE_UINT64, checkpoint.step) &&
      read_number(file, "epoch", H5T_NATIVE_UINT64, checkpoint.epoch) &&
      hdf5::read_text(file, "experiment", checkpoint.experiment) &&
      read_number(file, "epoch_loss_sum", H5T_NATIVE_DOUBLE, loss) &&
      read_number(file, "epoch_correct", H5T_NATIVE_UINT64, correct) &&
      read_number(file, "epoch_samples", H5T_NATIVE_UINT64, samples) &&
      read_number(file, "wall_seconds", H5T_NATIVE_DOUBLE, checkpoint.wall_seconds);
  checkpoint.train.set_loss(loss);
  checkpoint.train.set_correct(correct);
  checkpoint.train.set_samples(samples);

  std::vector<std::string> names;
  if (H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, collect_name, &names) < 0)
    throw UserError(
        fmt::format("{}: cannot be read, expected an undamaged HDF5 file without links to others",
                    path.string()));
  std::size_t total = 0;
  for (const std::string& name : names) {
    if (!layer.empty() && !name.starts_with(fmt::format("layers/{}/", layer))) continue;
    const Handle object{H5Oopen(file, name.c_str(), H5P_DEFAULT), H5Oclose};
    if (!object.ok()) refuse(path, fmt::format("/{} cannot be opened", name), "an undamaged file");
    if (H5Iget_type(object) == H5I_DATASET) {
      checkpoint.tensors.push_back(read_tensor(path, file, name, limits.tensor_bytes_max));
      total += checkpoint.tensors.back().values.bytes();
      if (total > limits.total_bytes_max)
        refuse(path, fmt::format("more than {} bytes of data sets", limits.total_bytes_max),
               "the state of this network");
    } else if (H5Iget_type(object) != H5I_GROUP) {
      refuse(path, fmt::format("/{}", name), "groups and data sets only");
    }
  }
  if (checkpoint.tensors.empty()) refuse(path, "no data set", "at least one below /layers");
  return checkpoint;
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
  for (const CheckpointTensor& tensor : tensors) {
    digest.add(fmt::format("{}/{}\n", tensor.layer, tensor.name));
    digest.add(tensor.values.data(), tensor.values.bytes());
  }
  return to_hex(digest.finish());
}

}  // namespace lateral
