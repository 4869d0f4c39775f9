// The entry point of core_float_test, installed as lateral-rule-test: with --plugin FILE the tests
// of the contract of all rules include those of a plug-in.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <iostream>
#include <vector>

#include "nodes/base/failure.hpp"
#include "nodes/plugin/open_plugin.hpp"

int main(int argc, char** argv) {
  doctest::Context context;
  std::vector<char*> rest;
  try {
    for (int i = 0; i < argc; ++i) {
      if (std::string_view(argv[i]) != "--plugin") {
        rest.push_back(argv[i]);
        continue;
      }
      if (++i == argc) throw lateral::UserError("--plugin: expected a FILE");
      lateral::open_plugin(argv[i], lateral::read_plugin(argv[i]));
      context.setOption("test-suite", "contract");
    }
  } catch (const lateral::UserError& error) {
    std::cerr << "lateral-rule-test: " << error.what() << std::endl;
    return static_cast<int>(lateral::ExitCode::user_error);
  }
  context.applyCommandLine(static_cast<int>(rest.size()), rest.data());
  return context.run();
}
