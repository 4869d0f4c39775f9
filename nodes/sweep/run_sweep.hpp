// run_sweep: the members of a sweep as runs, several at a time, in a folder that can be resumed.
#pragma once

#include <filesystem>
#include <string>

namespace lateral {

struct SweepOptions {
  std::filesystem::path file;    ///< the sweep; or empty with resume
  std::filesystem::path resume;  ///< the folder of a sweep that was interrupted
  std::filesystem::path out;     ///< default: runs/NAME-TIMESTAMP
  std::string data;              ///< --data of every run
  int jobs = 0;                  ///< runs at a time; 0: one a processor
  bool quiet = false;
};

/// The folder of a sweep:
///   sweep.textproto, experiment.textproto   what was asked for
///   members/NNNNN/                          a run directory a member
///   members/NNNNN.result                    how it ended, in one line
///   sweep.csv, table.txt                    the results; the same bits however often it was
///   resumed
/// Returns the exit code: 0 also when members diverged, 3 if one failed otherwise, 128 + N when
/// signal N stopped it.  Throws UserError.
int run_sweep(const SweepOptions& options);

}  // namespace lateral
