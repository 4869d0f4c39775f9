// lateral compare: what differs between runs.
#include "nodes/results/compare.hpp"

#include <iostream>
#include <memory>

#include "nodes/command/command.hpp"

namespace lateral::command {

RunCommand compare(CommandLine& line) {
  line.describe("Print what differs between runs: settings and results");
  const auto folders = std::make_shared<std::vector<std::string>>();
  line.arguments("RUN", *folders, "Run directories, or folders of them");
  return [folders] {
    std::cout << compare_runs({folders->begin(), folders->end()});
    return 0;
  };
}

}  // namespace lateral::command
