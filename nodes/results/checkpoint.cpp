// Reading and writing checkpoints with the HDF5 library.
#include "nodes/results/checkpoint.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "nodes/base/failure.hpp"
#include "nodes/results/hdf5.hpp"
#include "nodes/results/run_directory.hpp"
#include "nodes/base/version.hpp"
#include "transport/handshake.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;
using hdf5::Handle;
using hdf5::must;
using hdf5::write_number;
using hdf5::write_text;

// ---- Writing

void write_all(const fs::path& path, const Checkpoint& checkpoint) {
  const Handle file{hdf5::create_file(path), H5Fclose};
  must(file.ok(), path);
  write_number(file, "format_version", H5T_NATIVE_UINT32, checkpoint_format_version, path);
  write_text(file, "lateral_version", version(), path);
  write_text(file, "experiment", checkpoint.experiment, path);
  write_number(file, "step", H5T_NATIVE_UINT64, checkpoint.step, path);
  write_number(file, "epoch", H5T_NATIVE_UINT64, checkpoint.epoch, path);
  write_number(file, "epoch_loss_sum", H5T_NATIVE_DOUBLE, checkpoint.train.loss(), path);
  write_number(file, "epoch_correct", H5T_NATIVE_UINT64, checkpoint.train.correct(), path);
  write_number(file, "epoch_samples", H5T_NATIVE_UINT64, checkpoint.train.samples(), path);
  write_number(file, "wall_seconds", H5T_NATIVE_DOUBLE, checkpoint.wall_seconds, path);

  const Handle links{H5Pcreate(H5P_LINK_CREATE), H5Pclose};
  H5Pset_create_intermediate_group(links, 1);
  for (const CheckpointTensor& tensor : checkpoint.tensors) {
    const std::string name = "/layers/" + tensor.layer + "/" + tensor.name;
    const std::vector<hsize_t> shape(tensor.shape.begin(), tensor.shape.end());
    const Handle space{H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr),
                       H5Sclose};
    // A checksum on each chunk: the library refuses to read a damaged one. Chunks are whole rows,
    // and lie far below the library's limit of 4 GB.
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
    must(set.ok(), path);
    if (tensor.values.size() > 0)
      must(
          H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.values.data()) >= 0,
          path);
  }
  must(H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0, path);
}

// ---- Reading

[[noreturn]] void refuse(const fs::path& path, const std::string& object,
                         const std::string& expected) {
  throw UserError(path.string() + ": " + object + ", expected " + expected);
}

template <class T>
bool read_number(hid_t file, const char* name, hid_t type, T& value) {
  if (H5Aexists(file, name) <= 0) return false;
  const Handle attribute{H5Aopen(file, name, H5P_DEFAULT), H5Aclose};
  const Handle space{H5Aget_space(attribute), H5Sclose};
  return H5Sget_simple_extent_npoints(space) == 1 && H5Aread(attribute, type, &value) >= 0;
}

bool read_text(hid_t file, const char* name, std::string& text) {
  constexpr std::size_t text_bytes_max = std::size_t{1} << 20;
  if (H5Aexists(file, name) <= 0) return false;
  const Handle attribute{H5Aopen(file, name, H5P_DEFAULT), H5Aclose};
  const Handle type{H5Aget_type(attribute), H5Tclose};
  const Handle space{H5Aget_space(attribute), H5Sclose};
  const std::size_t size = H5Tget_size(type);
  if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) > 0 || size > text_bytes_max ||
      H5Sget_simple_extent_npoints(space) != 1)
    return false;
  text.assign(size, '\0');
  return H5Aread(attribute, type, text.data()) >= 0;
}

struct Names {
  std::vector<std::string> paths;
};
herr_t collect(hid_t, const char* name, const H5L_info_t* link, void* data) {
  if (link->type != H5L_TYPE_HARD) return -1;  // nothing outside this file is read
  constexpr std::size_t objects_max = 100000;
  auto& paths = static_cast<Names*>(data)->paths;
  if (paths.size() >= objects_max) return -1;
  paths.emplace_back(name);
  return 0;
}

CheckpointTensor read_tensor(const fs::path& path, hid_t file, const std::string& name,
                             std::size_t tensor_bytes_max) {
  constexpr std::string_view root = "layers/";
  const std::size_t slash = name.find('/', root.size());
  if (!name.starts_with(root) || slash == std::string::npos)
    refuse(path, "data set /" + name, "data sets /layers/<layer>/…");
  CheckpointTensor tensor;
  tensor.layer = name.substr(root.size(), slash - root.size());
  tensor.name = name.substr(slash + 1);

  const Handle set{H5Dopen2(file, name.c_str(), H5P_DEFAULT), H5Dclose};
  const Handle type{H5Dget_type(set), H5Tclose};
  const Handle space{H5Dget_space(set), H5Sclose};
  const Handle creation{H5Dget_create_plist(set), H5Pclose};
  if (H5Pget_external_count(creation) > 0)
    refuse(path, "data set /" + name + " lies elsewhere", "its values in this file");
  const int rank = H5Sget_simple_extent_ndims(space);
  if (H5Tget_class(type) != H5T_FLOAT || rank < 1 || rank > 2)
    refuse(path, "data set /" + name, "floating-point numbers of one or two dimensions");
  hsize_t extents[2] = {0, 0};
  H5Sget_simple_extent_dims(space, extents, nullptr);
  hsize_t values = 1;
  for (int i = 0; i < rank; ++i) {
    if (extents[i] > 0 && values > tensor_bytes_max / sizeof(float) / extents[i])
      refuse(path, "data set /" + name,
             "at most " + std::to_string(tensor_bytes_max) +
                 " bytes, the largest tensor of this network");
    values *= extents[i];
    tensor.shape.push_back(static_cast<std::uint32_t>(extents[i]));
  }
  tensor.values = Block(static_cast<std::size_t>(values));
  if (values > 0 &&
      H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.values.data()) < 0)
    refuse(path, "data set /" + name + " is damaged", "values that match their checksum");
  return tensor;
}

}  // namespace

void write_checkpoint(const fs::path& path, const fs::path& previous, const Checkpoint& checkpoint,
                      Disk& disk) {
  hdf5::begin();
  const fs::path temporary = path.string() + ".tmp";
  try {
    write_all(temporary, checkpoint);
    disk.sync(temporary);
    // At every moment there are two different ones.
    const fs::path second = previous.string() + ".tmp";
    const bool keeps = fs::exists(path);
    if (keeps) disk.link(path, second);
    disk.rename(temporary, path);
    if (keeps) disk.rename(second, previous);
    disk.sync_folder(path.has_parent_path() ? path.parent_path() : fs::path("."));
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);  // what is left of a full disk is needed
    throw;
  }
}

Checkpoint read_checkpoint(const fs::path& path, const CheckpointLimits& limits,
                           const std::string& layer) {
  hdf5::begin();
  std::error_code missing;
  if (!fs::is_regular_file(path, missing)) throw UserError(path.string() + ": no such checkpoint");
  const Handle file{H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose};
  if (!file.ok()) throw UserError(path.string() + ": not a checkpoint, expected an HDF5 file");

  Checkpoint checkpoint;
  std::uint32_t format = 0;
  if (read_number(file, "format_version", H5T_NATIVE_UINT32, format) &&
      format != checkpoint_format_version)
    refuse(path, "format_version " + std::to_string(format),
           std::to_string(checkpoint_format_version));
  double loss = 0;
  std::uint64_t correct = 0, samples = 0;
  checkpoint.complete_header =
      read_number(file, "step", H5T_NATIVE_UINT64, checkpoint.step) &&
      read_number(file, "epoch", H5T_NATIVE_UINT64, checkpoint.epoch) &&
      read_text(file, "experiment", checkpoint.experiment) &&
      read_number(file, "epoch_loss_sum", H5T_NATIVE_DOUBLE, loss) &&
      read_number(file, "epoch_correct", H5T_NATIVE_UINT64, correct) &&
      read_number(file, "epoch_samples", H5T_NATIVE_UINT64, samples) &&
      read_number(file, "wall_seconds", H5T_NATIVE_DOUBLE, checkpoint.wall_seconds);
  checkpoint.train.set_loss(loss);
  checkpoint.train.set_correct(correct);
  checkpoint.train.set_samples(samples);

  Names names;
  if (H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, collect, &names) < 0)
    throw UserError(path.string() +
                    ": cannot be read, expected an undamaged HDF5 file without links to others");
  std::size_t total = 0;
  for (const std::string& name : names.paths) {
    if (!layer.empty() && !name.starts_with("layers/" + layer + "/")) continue;
    const Handle object{H5Oopen(file, name.c_str(), H5P_DEFAULT), H5Oclose};
    if (!object.ok()) refuse(path, "/" + name + " cannot be opened", "an undamaged file");
    if (H5Iget_type(object) == H5I_DATASET) {
      checkpoint.tensors.push_back(read_tensor(path, file, name, limits.tensor_bytes_max));
      total += checkpoint.tensors.back().values.bytes();
      if (total > limits.total_bytes_max)
        refuse(path, "more than " + std::to_string(limits.total_bytes_max) + " bytes of data sets",
               "the state of this network");
    } else if (H5Iget_type(object) != H5I_GROUP) {
      refuse(path, "/" + name, "groups and data sets only");
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
          path.string() +
          ": does not say where its run stopped, expected a checkpoint written by lateral");
    return checkpoint;
  };
  try {
    return read(directory.checkpoint());
  } catch (const UserError& damage) {
    if (!fs::exists(directory.previous_checkpoint())) throw;
    try {
      Checkpoint previous = read(directory.previous_checkpoint());
      note(damage.what() + ("; taking " + directory.previous_checkpoint().string()) + ", of step " +
           std::to_string(previous.step));
      if (repair) real_disk().rename(directory.previous_checkpoint(), directory.checkpoint());
      return previous;
    } catch (const UserError& worse) {
      throw UserError(damage.what() + std::string("; and ") + worse.what());
    }
  }
}

std::string state_sha256(const std::vector<CheckpointTensor>& tensors) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context{EVP_MD_CTX_new(),
                                                                   EVP_MD_CTX_free};
  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  for (const CheckpointTensor& tensor : tensors) {
    const std::string name = tensor.layer + "/" + tensor.name + "\n";
    EVP_DigestUpdate(context.get(), name.data(), name.size());
    EVP_DigestUpdate(context.get(), tensor.values.data(), tensor.values.bytes());
  }
  std::string digest(32, '\0');
  EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  return to_hex(digest);
}

}  // namespace lateral
