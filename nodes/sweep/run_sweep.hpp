// run_sweep: runs the members of a sweep, several at a time, in a folder that can be resumed.
#pragma once

#include <filesystem>
#include <string>

#include "nodes/experiment/data_folders.hpp"

namespace lateral {

struct SweepOptions {
  std::filesystem::path file;    ///< the sweep file; empty with `resume`
  std::filesystem::path resume;  ///< the folder of a sweep that was interrupted
  std::filesystem::path out;     ///< default: runs/NAME-TIMESTAMP
  DataFolders folders;           ///< of the data; `given` is passed on to every run
  int jobs = 0;                  ///< runs at a time; 0: one for each processor
  bool quiet = false;
};

/// The folder of a sweep:
///   sweep.textproto, experiment.textproto   the sweep and its experiment
///   members/NNNNN/                          the run directory of a member
///   members/NNNNN.result.json               its result (see to_json(const SweepResult&))
///   sweep.csv, table.txt                    the results; independent of interruptions and
///   resumptions of the sweep
/// Returns the exit code: 0 also when members diverged, 3 if one failed for another reason, 128 + N
/// if it was stopped by signal N.  Throws UserError.
int run_sweep(const SweepOptions& options);

}  // namespace lateral
