// The data of an experiment: its settings, and what is known of the files that it names.
#pragma once

#include <filesystem>
#include <string>

#include "nodes/data/batches.hpp"
#include "nodes/data/dataset.hpp"
#include "nodes/experiment/data_folders.hpp"
#include "nodes/experiment/settings.hpp"

namespace lateral {

/// The most constants of normalisation: with the configuration of the run they are in the header of
/// one message.
inline constexpr int normalization_constants_max = 40000;

/// Checks the settings of users' files. With --data, the files of a description are looked for
/// there by their names alone. Where their description is not recorded yet, makes paths
/// below `experiment` absolute, reads the files, and records the description and the defaults that
/// follow from it. Throws UserError.
void complete_data(Settings& settings, const DataFolders& folders);
/// Makes paths of files that exist below this folder absolute.
void make_data_paths_absolute(proto::Experiment& settings, const std::filesystem::path& folder);
/// Clears the paths of files: data are recognised by their digest.
void clear_data_paths(proto::Experiment& settings);

/// All but the folder of the data, which each process is told.
DataParams data_params(const proto::Experiment& settings);
/// REQUIRES: complete_data()
DataDescription data_description(const proto::Experiment& settings);
BatchParams batch_params(const proto::Experiment& settings);

}  // namespace lateral
