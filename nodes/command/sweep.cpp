// lateral sweep: runs every setting of a sweep file, with several seeds each.
#include <memory>

#include "nodes/base/failure.hpp"
#include "nodes/command/options.hpp"
#include "nodes/sweep/run_sweep.hpp"

namespace lateral::command {
namespace {

struct Options {
  std::string file, resume, out, data;
  std::vector<std::string> plugins;
  int jobs = 0;
  bool quiet = false;
};

int start_sweep(const Options& options) {
  if (options.file.empty() == options.resume.empty())
    throw UserError("sweep: expected a SWEEP file or --resume FOLDER");
  if (!options.resume.empty() && !options.out.empty())
    throw UserError("sweep --resume continues in its own folder, expected no --out");
  if (!options.resume.empty() && !options.plugins.empty())
    throw UserError("sweep --resume uses the plug-ins that it began with, expected no --plugin");
  load_plugins(options.plugins);
  return run_sweep({.file = options.file,
                    .resume = options.resume,
                    .out = options.out,
                    .folders = data_folders(options.data),
                    .jobs = options.jobs,
                    .quiet = options.quiet});
}

}  // namespace

RunCommand sweep(CommandLine& line) {
  line.describe("Run every setting of a sweep file, several seeds each, and name the best");
  const auto options = std::make_shared<Options>();
  line.optional_argument("SWEEP", options->file, "Sweep file; proto/sweep.proto documents it");
  line.option("--resume", "FOLDER", options->resume, "Continue the sweep in this folder");
  line.option("--out", "DIR", options->out, "Folder (default: runs/NAME-TIMESTAMP)");
  add_data_option(line, options->data);
  add_plugin_option(line, options->plugins);
  line.number("--jobs", options->jobs, 1, 1024,
              "Runs at a time (default: the processors it may use)");
  line.flag("--quiet", options->quiet, "Print nothing but errors");
  return [options] { return start_sweep(*options); };
}

}  // namespace lateral::command
