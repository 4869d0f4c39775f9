// Writes a target's seeds to the folder named by an environment variable, before libFuzzer reads
// it.
#include <google/protobuf/stubs/logging.h>

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  const char* folder = std::getenv("LATERAL_FUZZ_SEEDS");
  if (folder == nullptr) return 0;
  int number = 0;
  for (const std::string& seed : lateral::fuzz::seeds())
    std::ofstream{std::string(folder) + "/seed-" + std::to_string(++number), std::ios::binary}
        << seed;
  return 0;
}
