// Fuzz target: the folder of a run, as it is compared with another.
#include "nodes/results/compare.hpp"

#include <filesystem>

#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {
namespace {

constexpr const char* summary =
    R"({"version": "1", "epochs": 2, "final": {"test_loss": 0.5}, "state_sha256": "ab",)"
    R"( "nodes": [{"name": "a", "cpu_seconds": 1.5}, {"bytes_sent": 7}]})";
constexpr const char* settings =
    "name: 'x' layer { name: 'output' units: 10 } learning { parameter { name: 'a' value: 1 } }"
    "execution { plugin { file: 'x' } }";

/// The folder of a run, removed when the program ends.
struct Run {
  Run() {
    char name[] = "/dev/shm/lateral-fuzz-XXXXXX";
    if (::mkdtemp(name) == nullptr) crash("no temporary folder");
    folder = name;
    write("experiment.textproto", settings);
    write("summary.json", summary);
  }
  ~Run() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  void write(const char* file, const std::string& text) const {
    std::ofstream{folder / file, std::ios::binary} << text;
  }
  std::filesystem::path folder;
};

}  // namespace

std::vector<std::string> seeds() {
  return {std::string("s") + summary, std::string("e") + settings};
}

}  // namespace lateral::fuzz

/// The first byte selects the file: 's' for the summary.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  if (size == 0) return 0;
  static const fuzz::Run other, run;
  const std::string text = fuzz::text_of(data + 1, size - 1);
  run.write("summary.json", data[0] == 's' ? text : fuzz::summary);
  run.write("experiment.textproto", data[0] == 's' ? fuzz::settings : text);
  fuzz::accepts([&] { compare_runs({run.folder, other.folder}); });
  return 0;
}
