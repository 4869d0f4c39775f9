// Fuzz target: the PATH=VALUE of --set, one a line, on an experiment that has layers and a record.
#include <sstream>

#include "nodes/experiment/experiment.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {
namespace {

constexpr const char* experiment =
    "layer { name: 'hidden1' units: 8 } layer { name: 'output' units: 10 }"
    "decorrelation { rule: 'ahmad2024' } recording { record { name: 'w' what: weight } }";

}  // namespace

std::vector<std::string> seeds() { return {}; }

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  std::vector<std::string> sets;
  std::istringstream stream{fuzz::text_of(data, size)};
  for (std::string set; std::getline(stream, set);) sets.push_back(set);
  std::string text, again;
  if (!fuzz::accepts([&] { text = parse_experiment(fuzz::experiment, "a", sets).text; })) return 0;
  fuzz::check_property(
      fuzz::accepts([&] { again = parse_experiment(text, "b", {}).text; }) && again == text,
      "the effective configuration is parsed to itself");
  return 0;
}
