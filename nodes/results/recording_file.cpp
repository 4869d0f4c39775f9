// Appending to, and reading from, extendible data sets.
#include "nodes/results/recording_file.hpp"

#include <algorithm>
#include <limits>

#include "nodes/results/hdf5.hpp"
#include "nodes/base/version.hpp"
#include "transport/error.hpp"

namespace lateral {

using hdf5::Handle;
using hdf5::must;

struct RecordingFile::Open {
  explicit Open(hid_t id) : handle{id, H5Fclose} {}
  Handle handle;
};

namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& path, const std::string& object) {
  throw UserError(path.string() + ": " + object + ", expected the recording as its run wrote it");
}

/// An empty data set of rows of this shape. What no row fills is NaN.
void create_rows(hid_t group, const char* name, hid_t type, const std::vector<std::uint64_t>& chunk,
                 const std::vector<std::uint32_t>& shape, const fs::path& path) {
  std::vector<hsize_t> extents{0}, limits{H5S_UNLIMITED};
  extents.insert(extents.end(), shape.begin(), shape.end());
  limits.insert(limits.end(), shape.begin(), shape.end());
  const std::vector<hsize_t> chunk_extents(chunk.begin(), chunk.end());
  const auto rank = static_cast<int>(extents.size());
  const Handle space{H5Screate_simple(rank, extents.data(), limits.data()), H5Sclose};
  const Handle creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
  H5Pset_chunk(creation, rank, chunk_extents.data());
  const float missing = std::numeric_limits<float>::quiet_NaN();
  if (!shape.empty()) H5Pset_fill_value(creation, H5T_NATIVE_FLOAT, &missing);
  const Handle set{H5Dcreate2(group, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT),
                   H5Dclose};
  must(set.ok(), path);
}

std::vector<hsize_t> extents_of(hid_t set) {
  const Handle space{H5Dget_space(set), H5Sclose};
  const int rank = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> extents(static_cast<std::size_t>(std::max(rank, 0)));
  if (rank > 0) H5Sget_simple_extent_dims(space, extents.data(), nullptr);
  return extents;
}

/// Selects row `row`, of which `shape` is there.
Handle select_row(hid_t set, std::uint64_t row, const std::vector<std::uint32_t>& shape) {
  std::vector<hsize_t> start(shape.size() + 1, 0), count{1};
  start[0] = row;
  count.insert(count.end(), shape.begin(), shape.end());
  const hid_t space = H5Dget_space(set);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr);
  return Handle{space, H5Sclose};
}

void append_row(hid_t file, const std::string& name, std::uint64_t row,
                const std::vector<std::uint32_t>& shape, hid_t type, const void* values,
                const fs::path& path) {
  const Handle set{H5Dopen2(file, name.c_str(), H5P_DEFAULT), H5Dclose};
  must(set.ok(), path);
  std::vector<hsize_t> extents = extents_of(set);
  extents[0] = row + 1;
  must(H5Dset_extent(set, extents.data()) >= 0, path);
  std::vector<hsize_t> here(shape.begin(), shape.end());
  if (here.empty()) here.push_back(1);
  const Handle memory{H5Screate_simple(static_cast<int>(here.size()), here.data(), nullptr),
                      H5Sclose};
  const Handle selected = select_row(set, row, shape);
  must(H5Dwrite(set, type, memory, selected, H5P_DEFAULT, values) >= 0, path);
}

bool has_rows(hid_t set, std::uint64_t rows, const std::vector<std::uint32_t>& shape) {
  const std::vector<hsize_t> extents = extents_of(set);
  return extents.size() == shape.size() + 1 && extents[0] >= rows &&
         std::equal(shape.begin(), shape.end(), extents.begin() + 1);
}

/// The first `rows` steps of a data set that has so many.
std::vector<std::uint64_t> read_steps(hid_t set, std::uint64_t rows) {
  std::vector<std::uint64_t> steps(rows);
  if (rows == 0) return steps;
  const hsize_t start = 0, count = rows;
  const Handle space{H5Dget_space(set), H5Sclose};
  H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, nullptr, &count, nullptr);
  const Handle memory{H5Screate_simple(1, &count, nullptr), H5Sclose};
  if (H5Dread(set, H5T_NATIVE_UINT64, memory, space, H5P_DEFAULT, steps.data()) < 0) steps.clear();
  return steps;
}

}  // namespace

RecordingFile::RecordingFile(fs::path path, const Experiment& experiment, std::uint64_t steps,
                             std::optional<std::uint64_t> steps_kept)
    : path_{std::move(path)} {
  hdf5::begin();
  for (const Record& record : experiment.records)
    for (const Record::OfLayer& of : record.layers) sets_[{record.name, of.layer}] = {&record, &of};
  if (steps_kept)
    reopen(*steps_kept);
  else
    create(experiment, steps);
  must(H5Fflush(file_->handle, H5F_SCOPE_GLOBAL) >= 0, path_);
}

RecordingFile::~RecordingFile() {
  hdf5::begin();  // perhaps another thread than the one that wrote
}

void RecordingFile::create(const Experiment& experiment, std::uint64_t steps) {
  file_ = std::make_unique<Open>(hdf5::create_file(path_));
  const hid_t file = file_->handle;
  must(file_->handle.ok(), path_);
  hdf5::write_text(file, "lateral_version", version(), path_);
  hdf5::write_number(file, "seed", H5T_NATIVE_UINT64, experiment.seed, path_);
  hdf5::write_text(file, "experiment", experiment.text, path_);
  for (const Record& record : experiment.records) {
    const Handle group{H5Gcreate2(file, record.name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                       H5Gclose};
    must(group.ok(), path_);
    hdf5::write_text(group, "what", record.kind, path_);
    hdf5::write_number(group, "interval", H5T_NATIVE_UINT64, record.interval, path_);
  }
  for (const auto& [name, set] : sets_) create_set(set, steps);
}

void RecordingFile::create_set(const Set& set, std::uint64_t steps) {
  const Handle group{
      H5Gcreate2(file_->handle, set.path().c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
      H5Gclose};
  must(group.ok(), path_);
  const std::vector<std::uint32_t> units(set.of->units.begin(), set.of->units.end());
  const hsize_t count = units.size();
  const Handle space{H5Screate_simple(1, &count, nullptr), H5Sclose};
  // A data set: an attribute may not be longer than 64 kB.
  const Handle selected{
      H5Dcreate2(group, "units", H5T_STD_U32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
      H5Dclose};
  must(selected.ok() &&
           H5Dwrite(selected, H5T_NATIVE_UINT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, units.data()) >= 0,
       path_);
  create_rows(group, "step", H5T_STD_U64LE, {step_chunk}, {}, path_);
  create_rows(group, "values", H5T_IEEE_F32LE, chunk_of(set.of->shape, set.record->rows(steps)),
              set.of->shape, path_);
}

void RecordingFile::reopen(std::uint64_t steps_kept) {
  file_ = std::make_unique<Open>(H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT));
  if (!file_->handle.ok()) refuse(path_, "missing or damaged");
  for (const bool drop : {false, true})  // nothing is dropped from a file that does not fit
    for (auto& [name, set] : sets_) {
      set.rows = set.record->rows(steps_kept);
      const Handle step{H5Dopen2(file_->handle, (set.path() + "/step").c_str(), H5P_DEFAULT),
                        H5Dclose};
      const Handle values{H5Dopen2(file_->handle, (set.path() + "/values").c_str(), H5P_DEFAULT),
                          H5Dclose};
      bool right = step.ok() && values.ok() && has_rows(step, set.rows, {}) &&
                   has_rows(values, set.rows, set.of->shape);
      const std::vector<std::uint64_t> steps =
          right ? read_steps(step, set.rows) : std::vector<std::uint64_t>{};
      right = right && steps.size() == set.rows;
      for (std::size_t row = 0; row < steps.size(); ++row)
        right = right && steps[row] == row * set.record->interval + 1;
      if (!right)
        refuse(path_, set.path() + " lacks some of the " + std::to_string(set.rows) +
                          " rows up to step " + std::to_string(steps_kept));
      if (!drop) continue;
      std::vector<hsize_t> extents = extents_of(values);
      extents[0] = set.rows;
      must(H5Dset_extent(step, extents.data()) >= 0 && H5Dset_extent(values, extents.data()) >= 0,
           path_);
    }
}

void RecordingFile::append(const std::string& layer, const Message& message) {
  const wire::Recorded& recorded = message.header.recorded();
  const auto found = sets_.find({recorded.record(), layer});
  std::vector<std::uint32_t> shape(message.header.shape().begin(), message.header.shape().end());
  const auto fits = [&](const Set& set) {
    if (recorded.step() != set.rows * set.record->interval + 1) return false;
    std::vector<std::uint32_t> whole = set.of->shape;
    if (const auto axis = set.record->sample_axis(); axis && shape.size() == whole.size())
      whole[*axis] = std::clamp<std::uint32_t>(shape[*axis], 1, whole[*axis]);
    return shape == whole;
  };
  if (found == sets_.end() || !fits(found->second))
    throw_transport(TransportError::unexpected_message,
                    layer + " recorded '" + recorded.record() + "' at step " +
                        std::to_string(recorded.step()) + ", which was not its turn");
  Set& set = found->second;
  const std::uint64_t step = recorded.step();
  append_row(file_->handle, set.path() + "/values", set.rows, shape, H5T_NATIVE_FLOAT,
             message.body.data(), path_);
  append_row(file_->handle, set.path() + "/step", set.rows, {}, H5T_NATIVE_UINT64, &step, path_);
  must(H5Fflush(file_->handle, H5F_SCOPE_GLOBAL) >= 0, path_);
  ++set.rows;
}

RecordedRows read_recorded(const fs::path& path, const Record& record, const Record::OfLayer& of) {
  hdf5::begin();
  const Handle file{H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose};
  if (!file.ok()) refuse(path, "missing or damaged");
  const std::string name = "/" + record.name + "/" + of.layer;
  const Handle step{H5Dopen2(file, (name + "/step").c_str(), H5P_DEFAULT), H5Dclose};
  const Handle values{H5Dopen2(file, (name + "/values").c_str(), H5P_DEFAULT), H5Dclose};
  if (!step.ok() || !values.ok() || !has_rows(step, 0, {}) || !has_rows(values, 0, of.shape))
    refuse(path, name + " is missing or of another shape");
  RecordedRows rows;
  // A crash may have left a row without its step.
  const std::uint64_t n = std::min(extents_of(step)[0], extents_of(values)[0]);
  rows.steps = read_steps(step, n);
  std::size_t size = 1;
  for (const std::uint32_t extent : of.shape) size *= extent;
  bool read = rows.steps.size() == n;
  for (std::vector<float>* row : {&rows.first, &rows.last}) {
    if (n == 0) break;
    row->resize(size);
    const Handle selected = select_row(values, row == &rows.first ? 0 : n - 1, of.shape);
    const std::vector<hsize_t> extents(of.shape.begin(), of.shape.end());
    const Handle memory{H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr),
                        H5Sclose};
    read =
        read && H5Dread(values, H5T_NATIVE_FLOAT, memory, selected, H5P_DEFAULT, row->data()) >= 0;
  }
  if (!read) refuse(path, name + " is damaged");
  return rows;
}

}  // namespace lateral
