// Fuzz target: sweep files.
#include "nodes/sweep/sweep_file.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {

std::vector<std::string> seeds() { return {}; }

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  fuzz::accepts([&] {
    const Sweep sweep =
        parse_sweep(fuzz::text_of(data, size), LATERAL_FUZZ_CORPUS "/sweep/input.textproto");
    fuzz::check_property(!sweep.members.empty() && sweep.members.size() <= sweep_members_max,
                         "a sweep has a member, and no more than the limit");
    for (const SweepMember& member : sweep.members)
      fuzz::check_property(member.values.size() == sweep.axes.size(),
                           "a member has a value of each axis");
  });
  return 0;
}
