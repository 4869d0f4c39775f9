// lateral plot: draws runs and sweeps.
#include "nodes/plot/plot.hpp"

#include <cstdio>
#include <iostream>
#include <memory>

#include "nodes/base/failure.hpp"
#include "nodes/command/network.hpp"
#include "nodes/command/options.hpp"

namespace lateral::command {
namespace {

struct Options {
  std::vector<std::string> folders, plugins, formats;
  std::string out, only, size;
};

PlotOptions plot_options(const Options& options) {
  PlotOptions plot{.only = options.only};
  if (!options.formats.empty()) plot.formats = options.formats;
  if (options.size.empty()) return plot;
  constexpr int size_min = 100, size_max = 10000;
  int end = 0;
  const int read = std::sscanf(options.size.c_str(), "%5dx%5d%n", &plot.width, &plot.height, &end);
  const bool is_whole = read == 2 && static_cast<std::size_t>(end) == options.size.size();
  if (!is_whole || std::min(plot.width, plot.height) < size_min ||
      std::max(plot.width, plot.height) > size_max)
    throw UserError("--size " + options.size +
                    ": expected WIDTHxHEIGHT in pixels, each from 100 to 10000");
  return plot;
}

int draw(const Options& options) {
  load_plugins(options.plugins);
  const std::vector<std::filesystem::path> folders(options.folders.begin(), options.folders.end());
  const std::filesystem::path out = options.out.empty() ? folders.front().string() : options.out;
  const Plots plots = lateral::plot(folders, out, plot_options(options));
  for (const std::filesystem::path& file : plots.files) std::cout << file.string() << "\n";
  if (!plots.note.empty()) print_warning(plots.note);
  return 0;
}

}  // namespace

RunCommand plot(CommandLine& line) {
  line.describe("Draw runs and sweeps: learning curves, probes, spectra, recordings");
  const auto options = std::make_shared<Options>();
  line.arguments("RUN_OR_SWEEP", options->folders,
                 "Folders of runs, of sweeps, or of several runs");
  line.option("--out", "DIR", options->out, "Folder for the pictures (default: the first one's)");
  line.option("--only", "FIGURE", options->only,
              "Only figures whose names begin so: learning_curves, probes, spectrum, …");
  line.repeatable_option("--format", "FORMAT", options->formats,
                         "svg, png or pdf (default: svg and png)");
  line.option("--size", "WIDTHxHEIGHT", options->size, "Size of every figure in pixels");
  add_plugin_option(line, options->plugins);
  return [options] { return draw(*options); };
}

}  // namespace lateral::command
