// Fuzz target: the JSON files with the results of a sweep's members.
#include "nodes/sweep/sweep_results.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {

std::vector<std::string> seeds() {
  const std::string digest(64, 'a');
  using Status = SweepResult::Status;
  const SweepResult done{Status::done, "", digest, 3, 0.5, 0.25, 1e-300, 1, digest};
  const SweepResult diverged{Status::diverged, "", digest, 1, 1e300 * 1e300, 0, -0.0, 1e-3, ""};
  const SweepResult failed{Status::failed, "the disk is full", digest, 0, 0, 0, 0, 0, ""};
  return {to_json(done), to_json(diverged), to_json(failed)};
}

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  fuzz::accepts([&] {
    const SweepResult result = parse_sweep_result(fuzz::text_of(data, size), "result.json");
    const std::string json = to_json(result);
    fuzz::check_property(to_json(parse_sweep_result(json, "result.json")) == json,
                         "a result is read as it was written");
  });
  return 0;
}
