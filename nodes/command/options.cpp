// The flags and the help of shared options.
#include "nodes/command/options.hpp"

#include <cstdlib>

#include "nodes/experiment/plugins.hpp"

namespace lateral {

void add_data_option(CommandLine& line, std::string& folder) {
  line.option(
      "--data", "DIR", folder,
      "Folder of the data: mnist/, cifar-10-batches-bin/, … (default: $LATERAL_DATA), and of the "
      "files that data.train and data.test name (default: that of the experiment file)");
}

DataFolders data_folders(const std::string& given) {
  const char* const fallback = std::getenv("LATERAL_DATA");
  return {.given = given, .experiment = {}, .fallback = fallback == nullptr ? "" : fallback};
}

void add_set_option(CommandLine& line, std::vector<std::string>& sets) {
  line.repeatable_option(
      "--set", "PATH=VALUE", sets,
      "Set a field of the experiment: learning.epochs=2, layer.hidden1.units=64");
}

void add_plugin_option(CommandLine& line, std::vector<std::string>& files) {
  line.repeatable_option("--plugin", "FILE", files,
                         "Shared library whose rules are used like the built-in ones");
}

void load_plugins(const std::vector<std::string>& files) {
  for (const std::string& file : files) load_plugin(file);
}

}  // namespace lateral
