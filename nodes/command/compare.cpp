// lateral compare: what differs between two runs.
#include "nodes/results/compare.hpp"

#include <iostream>
#include <memory>

#include "nodes/command/command.hpp"

namespace lateral::command {

RunCommand compare(CommandLine& line) {
  struct Options {
    std::string first, second;
  };
  line.describe("Print what differs between two runs: settings and results");
  const auto options = std::make_shared<Options>();
  line.argument("A", options->first, "Run directory");
  line.argument("B", options->second, "Run directory");
  return [options] {
    std::cout << compare_runs(options->first, options->second);
    return 0;
  };
}

}  // namespace lateral::command
