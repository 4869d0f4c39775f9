// recording.h5: what the layers record, row by row, as an HDF5 file that h5py can read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nodes/experiment/experiment.hpp"
#include "transport/message.hpp"

namespace lateral {

namespace hdf5 {
class Handle;
}

///   /                    attributes: lateral_version, experiment (text), seed
///   /<record>            attributes: what, interval
///   /<record>/<layer>    attribute:  units (as selected)
///   /<record>/<layer>/step    uint64  (rows)
///   /<record>/<layer>/values  float32 (rows, …), see Recorded in experiment.proto
/// Each row is flushed before append() returns, so that a crash of the program loses none.
class RecordingFile {
 public:
  /// Creates the file; or, with `steps_kept`, opens the file of an earlier session and truncates it
  /// after this number of training steps. `steps`: of the whole run.  Throws UserError naming the
  /// file if it cannot be written, or lacks rows that the earlier session must have written.
  RecordingFile(std::filesystem::path path, const Experiment& experiment, std::uint64_t steps,
                std::optional<std::uint64_t> steps_kept);
  ~RecordingFile();
  /// Appends the next row of a layer.  Throws system_error if this row is not the expected one.
  void append(const std::string& layer, const Message& message);

 private:
  /// The data sets of one layer in one record.
  struct Set {
    const Record* record;
    const Record::OfLayer* layer;
    std::uint64_t rows = 0;
    std::string path() const { return "/" + record->name + "/" + layer->layer; }
  };
  void create(const Experiment& experiment, std::uint64_t steps);
  void create_set(const Set& set, std::uint64_t steps);
  void reopen(std::uint64_t steps_kept);

  std::filesystem::path path_;
  std::unique_ptr<hdf5::Handle> file_;
  std::map<std::pair<std::string, std::string>, Set> sets_;  // by record and layer
};

/// Some rows of one layer's record.
struct RecordedRows {
  std::vector<std::uint64_t> steps;  ///< of all rows
  std::vector<float> first, last;    ///< values of the first and the last row
};
/// Throws UserError naming file and data set if they do not match the experiment.
RecordedRows read_recorded(const std::filesystem::path& path, const Record& record,
                           const Record::OfLayer& layer);

}  // namespace lateral
