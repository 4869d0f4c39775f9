// DataFolders: where the files that an experiment names with relative paths are looked for.
#pragma once

#include <filesystem>

namespace lateral {

struct DataFolders {
  std::filesystem::path given;       ///< by --data: only there
  std::filesystem::path experiment;  ///< without --data: the folder of the experiment file,
  std::filesystem::path fallback;    ///< and then this one
};

}  // namespace lateral
