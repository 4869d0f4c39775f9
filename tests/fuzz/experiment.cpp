// Fuzz target: experiment files.
#include "nodes/experiment/experiment.hpp"

#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {

std::vector<std::string> seeds() { return {}; }

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  if (size > experiment_bytes_max) return 0;
  std::string text, again;
  if (!fuzz::accepts([&] { text = parse_experiment(fuzz::text_of(data, size), "a", {}).text; }))
    return 0;
  fuzz::check_property(
      fuzz::accepts([&] { again = parse_experiment(text, "b", {}).text; }) && again == text,
      "the effective configuration is parsed to itself");
  return 0;
}
