// Runs a target without libFuzzer: on its seeds, on every file of its corpus, and on mutations of
// them, which are the same on every machine.  TARGET RUNS [FILE_OR_FOLDER…]
#include <fcntl.h>
#include <google/protobuf/stubs/logging.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <random>

#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {
namespace {

/// Maximum memory of a target, sanitizers included.
constexpr long memory_kib_max = 1L << 20;
/// Maximum time for one input.
constexpr unsigned seconds_max = 10;
constexpr std::size_t input_bytes_max = std::size_t{1} << 16;

std::string input;  // the current one

/// Writes the input that caused a crash to a file.
void on_crash(int signal) {
  constexpr const char* file = "crash-input";
  const int out = ::open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  constexpr std::string_view message = "fuzz: crashed; the input is in crash-input\n";
  if (::write(out, input.data(), input.size()) >= 0 &&
      ::write(2, message.data(), message.size()) >= 0)
    ::close(out);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void try_input() {
  ::alarm(seconds_max);
  // A copy of exactly this size, so that sanitizers detect reads behind its end.
  const std::vector<std::uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

class Mutations {
 public:
  explicit Mutations(std::vector<std::string> seeds) : seeds_{std::move(seeds)} {}
  std::string next() {
    std::string bytes = seeds_[below(seeds_.size())];
    for (std::size_t i = 1 + below(4); i > 0; --i) mutate(bytes);
    bytes.resize(std::min(bytes.size(), input_bytes_max));
    return bytes;
  }

 private:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

  void mutate(std::string& bytes) {
    constexpr std::array<unsigned char, 8> boundaries{0x00, 0x01, 0x7f, 0x80, 0xff, '0', '"', '\n'};
    const std::size_t at = below(bytes.size() + 1);
    const std::size_t length = std::min(bytes.size() - at, 1 + below(16));
    const char boundary = static_cast<char>(boundaries[below(boundaries.size())]);
    const std::string& other = seeds_[below(seeds_.size())];
    const std::size_t from = below(other.size() + 1);
    switch (below(6)) {
      case 0:  // one bit
        if (length > 0) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:  // bytes with boundary values
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), length, boundary);
        break;
      case 2:
        bytes.insert(at, 1 + below(8), boundary);
        break;
      case 3:
        bytes.erase(at, length);
        break;
      case 4:  // truncated
        bytes.resize(at);
        break;
      default:  // a part of another input
        bytes.replace(at, below(2) * length, other, from, 1 + below(64));
    }
  }

  std::vector<std::string> seeds_;
  std::mt19937_64 random_{1};
};

std::vector<std::string> inputs(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> files{path};
  if (std::filesystem::is_directory(path))
    files.assign(std::filesystem::directory_iterator{path}, {});
  std::sort(files.begin(), files.end());
  std::vector<std::string> read;
  for (const auto& file : files) {
    std::ifstream stream{file, std::ios::binary};
    read.emplace_back(std::istreambuf_iterator<char>{stream}, std::istreambuf_iterator<char>{});
  }
  return read;
}

}  // namespace
}  // namespace lateral::fuzz

int main(int argc, char** argv) {
  using namespace lateral::fuzz;
  google::protobuf::SetLogHandler(nullptr);
  std::vector<std::string> all = seeds();
  for (int i = 2; i < argc; ++i)
    for (std::string& read : inputs(argv[i])) all.push_back(std::move(read));
  if (argc < 2 || all.empty()) crash("expected RUNS and at least one input");
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGALRM})
    std::signal(signal, on_crash);

  for (const std::string& seed : all) {
    input = seed;
    try_input();
  }
  Mutations mutations{all};
  const long runs = std::atol(argv[1]);
  for (long run = 0; run < runs; ++run) {
    input = mutations.next();
    try_input();
  }
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  if (used.ru_maxrss > memory_kib_max)
    crash(std::to_string(used.ru_maxrss) + " KiB of memory, expected at most " +
          std::to_string(memory_kib_max));
  std::printf("%zu seeds, %ld mutations, %ld KiB\n", all.size(), runs, used.ru_maxrss);
}
