// DataRecord: data.json of a run directory, by which its data are recognised.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "nodes/experiment/experiment.hpp"

namespace lateral {

struct DataRecord {
  std::string sha256;  ///< of all samples, in hexadecimal (nodes/data/data_digest.hpp)
  std::vector<double> mean, standard_deviation;  ///< one a channel or one a value
};

/// data.json: the record, and what the experiment says of the data.
std::string to_json(const DataRecord& record, const Experiment& experiment);
/// Nothing if the file does not exist, as in runs of earlier versions.  Throws UserError if it is
/// damaged.
std::optional<DataRecord> read_data_record(const std::filesystem::path& file);

}  // namespace lateral
