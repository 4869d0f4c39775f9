// The flags and the help of shared options.
#include "nodes/command/options.hpp"

#include "nodes/experiment/plugins.hpp"

namespace lateral {

void add_data_option(CommandLine& line, std::string& folder) {
  line.option("--data", "DIR", folder,
              "Folder that contains mnist/, cifar-10-batches-bin/, … (default: $LATERAL_DATA)");
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
