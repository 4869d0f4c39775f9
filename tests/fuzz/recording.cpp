// Fuzz target: recording.h5, read for a plot and continued by a resumed run.
#include "nodes/results/recording_file.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace lateral::fuzz {
namespace {

constexpr std::uint64_t steps = 4;

const Experiment& experiment() {
  static const Experiment parsed = parse_experiment(
      "layer { name: 'output' units: 10 } recording { record {"
      " name: 'a' what: activity units: '0-2' samples: 2 interval: 1 } }",
      "a", {});
  return parsed;
}

}  // namespace

std::vector<std::string> seeds() {
  return {written_by([&](const std::string& file) {
    RecordingFile recording{file, experiment(), steps, std::nullopt};
    for (std::uint64_t step = 1; step <= steps; ++step) {
      Message message;
      message.header.mutable_recorded()->set_record("a");
      message.header.mutable_recorded()->set_step(step);
      message.header.add_shape(2);
      message.header.add_shape(3);
      message.body = Block(6);
      std::fill_n(message.body.data(), 6, 0.5F);
      recording.append("output", message);
    }
  })};
}

}  // namespace lateral::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lateral;
  static fuzz::MemoryFile file;
  file.write(data, size);
  const Record& record = fuzz::experiment().records.at(0);
  fuzz::accepts([&] {
    const RecordedRows rows = read_recorded(file.path(), record, record.layers.at(0));
    fuzz::check_property(rows.steps.empty() || (rows.first.size() == 6 && rows.last.size() == 6),
                         "the size of a row matches the experiment");
  });
  fuzz::accepts([&] { RecordingFile{file.path(), fuzz::experiment(), fuzz::steps, 2}; });
  return 0;
}
