// lateral plot: draws runs and sweeps.
#include "nodes/plot/plot.hpp"

#include <iostream>
#include <memory>

#include "nodes/command/shared.hpp"

namespace lateral::command {
namespace {

struct Options {
  std::vector<std::string> folders, plugins;
  std::string out;
};

int draw(const Options& options) {
  load_plugins(options.plugins);
  const std::vector<std::filesystem::path> folders(options.folders.begin(), options.folders.end());
  const std::filesystem::path out = options.out.empty() ? folders.front().string() : options.out;
  for (const std::filesystem::path& file : lateral::plot(folders, out))
    std::cout << file.string() << "\n";
  return 0;
}

}  // namespace

RunCommand plot(CommandLine& line) {
  line.describe("Draw runs and sweeps: learning curves, probes, spectra (SVG and PNG)");
  const auto options = std::make_shared<Options>();
  line.arguments("RUN_OR_SWEEP", options->folders, "Folders of runs or sweeps");
  line.option("--out", "DIR", options->out, "Folder for the pictures (default: the first one's)");
  add_plugin_option(line, options->plugins);
  return [options] { return draw(*options); };
}

}  // namespace lateral::command
