// Fuzz target: files given as plug-ins, which are checked before their code can run.
#include "core/plugin.hpp"

#include "nodes/plugin/open_plugin.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {

std::vector<std::string> seeds() {
  const std::string elf =
      "\x7f"
      "ELF";
  return {elf, elf + LATERAL_PLUGIN_MARK "lateral 0",
          elf + LATERAL_PLUGIN_MARK LATERAL_PLUGIN_BUILD + '\0'};
}

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  const bool opened =
      fuzz::accepts([&] { open_plugin("/nonexistent/plugin.so", fuzz::text_of(data, size)); });
  fuzz::check_property(!opened, "a file that does not exist is not opened");
  return 0;
}
