// Appending rows to, and reading rows from, extendible data sets.
#include "nodes/results/recording_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include "nodes/base/failure.hpp"
#include "nodes/base/hdf5.hpp"
#include "nodes/base/version.hpp"
#include "transport/error.hpp"

namespace lateral {

namespace {

namespace fs = std::filesystem;
using hdf5::check_written;
using hdf5::extents_of;
using hdf5::Handle;
using hdf5::open_data_set;

[[noreturn]] void refuse(const fs::path& path, const std::string& object) {
  throw UserError(
      fmt::format("{}: {}, expected the recording as its run wrote it", path.string(), object));
}

/// An empty data set of rows of this shape. Values that are never written are NaN.
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
  check_written(set.ok(), path);
}

/// The data space of a data set with the values of row `row` selected that `shape` covers.
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
  const Handle set = open_data_set(file, name);
  check_written(set.ok(), path);
  std::vector<hsize_t> extents = extents_of(set);
  extents[0] = row + 1;
  check_written(H5Dset_extent(set, extents.data()) >= 0, path);
  const Handle memory = hdf5::simple_space(std::vector<hsize_t>(shape.begin(), shape.end()));
  const Handle selected = select_row(set, row, shape);
  check_written(H5Dwrite(set, type, memory, selected, H5P_DEFAULT, values) >= 0, path);
}

bool has_rows(hid_t set, std::uint64_t rows, const std::vector<std::uint32_t>& shape) {
  const std::vector<hsize_t> extents = extents_of(set);
  return extents.size() == shape.size() + 1 && extents[0] >= rows &&
         std::equal(shape.begin(), shape.end(), extents.begin() + 1);
}

/// The first `rows` values of a data set of steps, or nothing if they cannot be read.
std::vector<std::uint64_t> read_steps(hid_t set, std::uint64_t rows) {
  std::vector<std::uint64_t> steps(rows);
  if (rows == 0) return steps;
  const hsize_t start = 0, count = rows;
  const Handle space{H5Dget_space(set), H5Sclose};
  H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, nullptr, &count, nullptr);
  const Handle memory = hdf5::simple_space({&count, 1});
  if (H5Dread(set, H5T_NATIVE_UINT64, memory, space, H5P_DEFAULT, steps.data()) < 0) steps.clear();
  return steps;
}

}  // namespace

RecordingFile::RecordingFile(fs::path path, const Experiment& experiment, std::uint64_t steps,
                             std::optional<std::uint64_t> steps_kept)
    : path_{std::move(path)} {
  const hdf5::Lock lock;
  hdf5::initialize();
  for (const Record& record : experiment.records)
    for (const Record::OfLayer& layer : record.layers)
      sets_[{record.name, layer.layer}] = {&record, &layer};
  if (steps_kept)
    reopen(*steps_kept);
  else
    create(experiment, steps);
  check_written(H5Fflush(*file_, H5F_SCOPE_GLOBAL) >= 0, path_);
}

RecordingFile::~RecordingFile() {
  hdf5::initialize();  // the destructor may run on another thread than append()
}

void RecordingFile::create(const Experiment& experiment, std::uint64_t steps) {
  file_.reset(new Handle(hdf5::create_file(path_)));
  const hid_t file = *file_;
  hdf5::write_text(file, "lateral_version", version(), path_);
  hdf5::write_number(file, "seed", H5T_NATIVE_UINT64, experiment.seed, path_);
  hdf5::write_text(file, "experiment", experiment.text, path_);
  for (const Record& record : experiment.records) {
    const Handle group{H5Gcreate2(file, record.name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                       H5Gclose};
    check_written(group.ok(), path_);
    hdf5::write_text(group, "what", record.kind, path_);
    hdf5::write_number(group, "interval", H5T_NATIVE_UINT64, record.interval, path_);
  }
  for (const auto& [name, set] : sets_) create_set(set, steps);
}

void RecordingFile::create_set(const Set& set, std::uint64_t steps) {
  const Handle group{H5Gcreate2(*file_, set.path().c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                     H5Gclose};
  check_written(group.ok(), path_);
  const std::vector<std::uint32_t> units(set.layer->units.begin(), set.layer->units.end());
  const hsize_t count = units.size();
  const Handle space = hdf5::simple_space({&count, 1});
  // A data set, since an attribute may not be longer than 64 kB.
  const Handle selected{
      H5Dcreate2(group, "units", H5T_STD_U32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
      H5Dclose};
  check_written(selected.ok() && H5Dwrite(selected, H5T_NATIVE_UINT32, H5S_ALL, H5S_ALL,
                                          H5P_DEFAULT, units.data()) >= 0,
                path_);
  create_rows(group, "step", H5T_STD_U64LE, {step_chunk}, {}, path_);
  create_rows(group, "values", H5T_IEEE_F32LE, chunk_of(set.layer->shape, set.record->rows(steps)),
              set.layer->shape, path_);
}

void RecordingFile::reopen(std::uint64_t steps_kept) {
  file_ = std::make_unique<Handle>(hdf5::open_file(path_, hdf5::Access::write, "a recording"));
  // All data sets are checked before any is truncated, so that a refused file is not changed.
  for (const bool cut : {false, true})
    for (auto& [name, set] : sets_) {
      set.rows = set.record->rows(steps_kept);
      const Handle step = open_data_set(*file_, set.path() + "/step");
      const Handle values = open_data_set(*file_, set.path() + "/values");
      bool as_expected = step.ok() && values.ok() && has_rows(step, set.rows, {}) &&
                         has_rows(values, set.rows, set.layer->shape);
      const std::vector<std::uint64_t> steps =
          as_expected ? read_steps(step, set.rows) : std::vector<std::uint64_t>{};
      as_expected = as_expected && steps.size() == set.rows;
      for (std::size_t row = 0; row < steps.size(); ++row)
        as_expected = as_expected && steps[row] == row * set.record->interval + 1;
      if (!as_expected)
        refuse(path_, fmt::format("{} lacks some of the {} rows up to step {}", set.path(),
                                  set.rows, steps_kept));
      if (!cut) continue;
      std::vector<hsize_t> extents = extents_of(values);
      extents[0] = set.rows;
      check_written(
          H5Dset_extent(step, extents.data()) >= 0 && H5Dset_extent(values, extents.data()) >= 0,
          path_);
    }
}

void RecordingFile::append(const std::string& layer, const Message& message) {
  const hdf5::Lock lock;
  const wire::Recorded& recorded = message.header.recorded();
  const auto found = sets_.find({recorded.record(), layer});
  std::vector<std::uint32_t> shape(message.header.shape().begin(), message.header.shape().end());
  const auto fits = [&](const Set& set) {
    if (recorded.step() != set.rows * set.record->interval + 1) return false;
    // The last batch of an epoch may have fewer samples.
    std::vector<std::uint32_t> expected = set.layer->shape;
    if (const auto axis = set.record->sample_axis(); axis && shape.size() == expected.size())
      expected[*axis] = std::clamp<std::uint32_t>(shape[*axis], 1, expected[*axis]);
    return shape == expected;
  };
  if (found == sets_.end() || !fits(found->second))
    throw_transport(TransportError::unexpected_message,
                    fmt::format("{} recorded '{}' at step {}, where it was not expected", layer,
                                recorded.record(), recorded.step()));
  Set& set = found->second;
  const std::uint64_t step = recorded.step();
  append_row(*file_, set.path() + "/values", set.rows, shape, H5T_NATIVE_FLOAT, message.body.data(),
             path_);
  append_row(*file_, set.path() + "/step", set.rows, {}, H5T_NATIVE_UINT64, &step, path_);
  check_written(H5Fflush(*file_, H5F_SCOPE_GLOBAL) >= 0, path_);
  ++set.rows;
}

RecordedRows read_recorded(const fs::path& path, const Record& record,
                           const Record::OfLayer& layer) {
  const hdf5::Lock lock;
  const Handle file = hdf5::open_file(path, hdf5::Access::read, "a recording");
  const std::string name = fmt::format("/{}/{}", record.name, layer.layer);
  const Handle step = open_data_set(file, name + "/step");
  const Handle values = open_data_set(file, name + "/values");
  if (!step.ok() || !values.ok() || !has_rows(step, 0, {}) || !has_rows(values, 0, layer.shape))
    refuse(path, fmt::format("{} is missing or has another shape", name));
  RecordedRows rows;
  // After a crash the last row may lack its step.
  const std::uint64_t n = std::min(extents_of(step)[0], extents_of(values)[0]);
  rows.steps = read_steps(step, n);
  const std::size_t size =
      std::accumulate(layer.shape.begin(), layer.shape.end(), std::size_t{1}, std::multiplies<>{});
  bool read = rows.steps.size() == n;
  for (std::vector<float>* row : {&rows.first, &rows.last}) {
    if (n == 0) break;
    row->resize(size);
    const Handle selected = select_row(values, row == &rows.first ? 0 : n - 1, layer.shape);
    const Handle memory =
        hdf5::simple_space(std::vector<hsize_t>(layer.shape.begin(), layer.shape.end()));
    read =
        read && H5Dread(values, H5T_NATIVE_FLOAT, memory, selected, H5P_DEFAULT, row->data()) >= 0;
  }
  if (!read) refuse(path, fmt::format("{} is damaged", name));
  return rows;
}

}  // namespace lateral
