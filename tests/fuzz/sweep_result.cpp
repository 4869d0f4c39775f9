// Fuzz target: the lines in which a sweep keeps the results of its members.
#include "nodes/sweep/sweep.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {

std::vector<std::string> seeds() {
  SweepResult done{SweepResult::Status::done, "", 3, 0.5, 0.25, 1e-300, 1, std::string(64, 'a')};
  SweepResult failed{SweepResult::Status::failed, "the disk is full", 0, 0, 0, 0, 0, ""};
  return {to_line(done), to_line(failed), "diverged 1 nan inf -inf 0x1p-3 - \n"};
}

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  fuzz::accepts([&] {
    const auto result = from_line(fuzz::text_of(data, size));
    if (!result) return;
    const auto again = from_line(to_line(*result));
    fuzz::law(again && to_line(*again) == to_line(*result), "a result is kept as it was");
  });
  return 0;
}
